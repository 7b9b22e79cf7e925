"""The tests leave alone what belongs to the person who runs them."""

from pathlib import Path

import IPython.paths
import jupyter_core.paths
from jupyterlab import commands


def test_jupyter_and_ipython_keep_the_tests_state_elsewhere():
    places = [*jupyter_core.paths.jupyter_config_path(), *jupyter_core.paths.jupyter_path()]
    places += [jupyter_core.paths.jupyter_runtime_dir(), IPython.paths.get_ipython_dir()]
    places += [commands.get_workspaces_dir(), commands.get_user_settings_dir()]
    persons = [
        Path.home() / name
        for name in (".jupyter", ".ipython", ".local/share/jupyter", "Library/Jupyter")
    ]
    assert not [
        place for place in places if any(Path(place).is_relative_to(own) for own in persons)
    ]
