"""Nova on a port of loopback, run by the Python of .venv-nova:
serve_nova.py PORT FOLDER HYPERVISOR...

Its API, conductor, scheduler and a compute service for each hypervisor are Nova's own, and so are
the virt driver without hypervisors, the databases in files and what stands for the other services,
as its functional tests have them. Tokens are for FOLDER/nova.conf to say.
"""

import sys
import warnings
from pathlib import Path

from loopback import serve  # type: ignore[import-not-found]
from nova.tests.functional import integrated_helpers  # type: ignore[import-not-found]

PASTE = Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"


class Nova(integrated_helpers._IntegratedTestBase):  # type: ignore[misc]
    """Set up and never taken down: the process is killed, its folder removed."""

    CAST_AS_CALL = False  # who is answered by a cloud waits for what it does

    def __init__(self, configuration: Path, hypervisors: list[str]) -> None:
        super().__init__("runTest")
        self._configuration = configuration
        self._hypervisors = hypervisors

    def runTest(self) -> None:
        pass

    def _setup_services(self) -> None:
        # Only after the functional tests have chosen threads.
        from nova.api import wsgi  # type: ignore[import-not-found]
        from nova.api.openstack import wsgi_app  # type: ignore[import-not-found]
        from nova.conf import CONF  # type: ignore[import-not-found]

        warnings.simplefilter("ignore")  # its tests make errors of them
        CONF([], project="nova", default_config_files=[str(self._configuration)])
        self.flags(transport_url=self.cell_mappings["cell1"].transport_url)
        self.flags(compute_driver="fake.FakeDriver")
        self.flags(instances=-1, cores=-1, ram=-1, group="quota")
        self.flags(api_paste_config=str(PASTE), group="wsgi")
        self._setup_conductor_service()
        self._setup_scheduler_service()
        for name in self._hypervisors:
            self._start_compute(name)
        self.application = wsgi.Loader().load_app("osapi_compute")
        wsgi_app._setup_service(CONF.host, "osapi_compute")


def main(port: str, folder: str, *hypervisors: str) -> None:
    nova = Nova(Path(folder) / "nova.conf", list(hypervisors))
    try:
        nova.setUp()
    finally:
        sys.excepthook = sys.__excepthook__  # oslo.log's would tell nobody why it did not start
    serve(int(port), nova.application)


if __name__ == "__main__":
    main(*sys.argv[1:])
