# SPDX-License-Identifier: BSD-3-Clause
"""podman in place of Docker: its socket speaks as Docker's does. It takes Debian's podman, netavark, aardvark-dns and runc."""
import os
import pathlib
import shutil

from engine import Engine, group_of_daemons

# crun, its default, wants what root here may not have; and so does its own idea of limits.
CONF = """[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
"""


class Podman(Engine):
    hidden = ['/run/netns', '/run/containers', '/run/libpod']

    def command(self, address, pool, conf):
        path = pathlib.Path(self.folder, 'containers.conf')
        path.write_text(CONF.format(folder=self.folder))
        os.mkdir(os.path.join(self.folder, 'networks'))
        return ['env', f'CONTAINERS_CONF={path}', 'podman', '--root', f'{self.folder}/data', '--runroot', f'{self.folder}/run', '--tmpdir',
                f'{self.folder}/tmp', 'system', 'service', '--time=0', f'unix://{self.socket}']

    def start(self):
        super().start()
        shutil.chown(self.socket, group=group_of_daemons())
        os.chmod(self.socket, 0o660)

    def started(self, *words):
        return super().started('--cgroup-parent', f'/{self.name}', *words)
