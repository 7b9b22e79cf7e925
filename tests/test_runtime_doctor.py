"""What the doctor finds."""

from safbage.runtime import doctor


def test_doctor_names_packages_that_are_missing_or_old(monkeypatch):
    asked = ["numpy>=1", "no-such-package>=1", "pandas>=999", 'not-asked-for; extra == "test"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: asked)
    missing, old, rest = doctor.packages()
    assert (missing.ok, missing.found, missing.fix) == (
        False,
        "not installed",
        'pip install "no-such-package>=1"',
    )
    assert not old.ok and old.found.endswith("but >=999 is needed")
    assert rest.ok and rest.found == "1 are here in the versions needed"
