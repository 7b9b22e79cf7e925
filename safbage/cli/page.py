"""The server behind `safbage explore` and `safbage live`: Voilà with one kernel for all pages.

It reads nothing from the working directory.
"""

import asyncio
import html
import os
import threading
import webbrowser
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jupyter_client.session import new_id
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import IOLoop

from safbage.cli.base import say
from safbage.errors import install_extra

try:
    from voila.app import Voila
except ImportError as error:
    raise ImportError(f"explore and live need Voilà: {install_extra('page')}") from error

WITHOUT_PAGE = 30
"""Seconds that the kernel is kept for a page that is loaded again."""
PING = 10_000
"""Milliseconds after which a page is asked whether it is still there; after three without an answer
it counts as gone. (Were both times the same, the server would close each page before its first
answer could come.)"""
REDIRECT = """<!DOCTYPE html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0;url={url}">
<a href="{url}">{title}</a>
"""


class OneKernel(AsyncMappingKernelManager):
    """All pages share one kernel, and with it one model of about 1 GB.

    It ends `WITHOUT_PAGE` after the last page.
    """

    def __init__(self, **options):
        super().__init__(**options)
        # No page is given a kernel that is just ending, and no two start one each.
        self.turn = asyncio.Lock()

    async def start_kernel(self, **options):
        """The id of the kernel that runs; of a new one where none does."""
        async with self.turn:
            for kernel_id in self.list_kernel_ids():
                self.get_kernel(kernel_id).last_activity = datetime.now(UTC)
                return kernel_id
            return await super().start_kernel(**options)

    async def cull_kernel_if_idle(self, kernel_id):
        async with self.turn:
            await super().cull_kernel_if_idle(kernel_id)


class Page(Voila):
    """One notebook as a page.

    `folder` is this user's alone, and takes the file that the browser is sent to. `called` is the
    page where its address is said. `ahead` is code that the kernel runs while the browser opens:
    the page's own cells, which then find their things made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        browser: bool,
        largest_message: int,
        called: str,
        title: str,
        ahead: Sequence[str] = (),
        **options,
    ):
        super().__init__(open_browser=True, auto_token=True, log_level="ERROR", **options)
        self.folder, self.with_browser = folder, browser
        self.called, self.page_title, self.ahead = called, title, ahead
        # By default the working directory comes first, and voila.py there would be executed.
        self.config_file_paths = []
        self.config.VoilaConfiguration.multi_kernel_manager_class = OneKernel
        # A second page waits while the first one's networks are loading.
        self.config.VoilaExecutor.startup_timeout = 600
        self.config.MappingKernelManager.cull_idle_timeout = WITHOUT_PAGE
        self.config.MappingKernelManager.cull_interval = 5
        # Nobody comes back for messages that no page took.
        self.config.MappingKernelManager.buffer_offline_messages = False
        if os.name == "posix":  # sockets that only this user can open, instead of ports
            self.config.KernelManager.transport = "ipc"
        self.tornado_settings = {
            "websocket_max_message_size": largest_message,
            "ws_ping_interval": PING,
            "ws_ping_timeout": 3 * PING,
        }

    def launch_browser(self):  # called once the port is known; Voilà's own leaves the token out
        """Say the address, and open it by way of a file.

        Other users can read the browser's command line.
        """
        IOLoop.current().add_callback(self.run_ahead)
        say(f"{self.called.capitalize()} is at {self.display_url}\nCtrl-C ends it.")
        if self.with_browser:
            redirect = self.folder / "open.html"
            private = os.open(redirect, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(private, "w", encoding="utf-8") as file:
                url, title = html.escape(self.display_url), html.escape(self.page_title)
                file.write(REDIRECT.format(url=url, title=title))
            address = redirect.as_uri()  # in a thread, since some browsers wait for their end
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    async def run_ahead(self):
        """Start the kernel that all pages share, and let it run what they will run first.

        What fails there fails again in the page, which shows it.
        """
        kernel_id = await self.kernel_manager.start_kernel(kernel_name="python3", path=".")
        kernel = self.kernel_manager.get_kernel(kernel_id)
        session = kernel.session.clone()
        session.session = new_id()  # with the page's own, the page would get no replies
        client = kernel.client(session=session)
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=600)
            for code in self.ahead:
                await client.execute(code, silent=True, stop_on_error=False, reply=True)
        finally:
            client.stop_channels()
