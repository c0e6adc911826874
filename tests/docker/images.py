# SPDX-License-Identifier: BSD-3-Clause
"""Images for containers with something to do, made of this machine's own programs and Debian's packages; and ours.

images.py FOLDER: prints the tarball of a MariaDB, which it makes there once, of 17 MB of Debian's packages."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

OURS = 'hypergate'
PAGE = 'the page'
MARIADB = ['mariadb-server-core', 'mariadb-client-core']
# What no server needs, most of it: 300 MB of 380.
LEFT_OUT = [*(f'usr/share/{name}' for name in ('doc', 'man', 'locale', 'lintian', 'info', 'bug', 'gcc')),
            *(f'etc/{name}' for name in ('init.d', 'apparmor.d', 'logcheck', 'logrotate.d'))]

# The first start makes the databases, and root's password what MARIADB_ROOT_PASSWORD says; then the server is the first process. Its init
# file takes a statement a line.
SERVE_MARIADB = r'''#!/bin/sh
set -e
mkdir -p /run/mysqld
chown mysql:mysql /run/mysqld /var/lib/mysql
if [ ! -d /var/lib/mysql/mysql ]; then
	mariadb-install-db --user=mysql --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db --skip-log-bin >/tmp/log 2>&1 || {
		cat /tmp/log >&2
		exit 1
	}
	cat >/run/mysqld/init.sql <<END
ALTER USER root@localhost IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
CREATE USER root@'%' IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
END
	chown mysql /run/mysqld/init.sql
	set -- --init-file=/run/mysqld/init.sql
fi
exec mariadbd --user=mysql --datadir=/var/lib/mysql --bind-address=0.0.0.0 --skip-name-resolve --innodb-log-file-size=16M \
	--innodb-buffer-pool-size=32M --max-allowed-packet=64M "$@"
'''

# A page that asks the server whose name DATABASE is.
ASK_MARIADB = r'''#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
exec mariadb -h "$DATABASE" -u root -N -B -e 'select concat("there are ", count(*), " rows") from shop.things' 2>&1
'''


def busybox_tree(folder):
    """A root of busybox alone."""
    for name in ('bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root', 'www/cgi-bin'):
        os.makedirs(os.path.join(folder, name))
    os.chmod(folder, 0o755)
    os.chmod(os.path.join(folder, 'tmp'), 0o1777)
    shutil.copy('/bin/busybox', os.path.join(folder, 'bin/busybox'))
    for name in subprocess.run(['/bin/busybox', '--list'], check=True, capture_output=True, text=True).stdout.split():
        if name != 'busybox':
            os.symlink('busybox', os.path.join(folder, 'bin', name))
    pathlib.Path(folder, 'etc/passwd').write_text('root:x:0:0:root:/root:/bin/sh\n')
    pathlib.Path(folder, 'etc/group').write_text('root:x:0:\n')
    pathlib.Path(folder, 'www/index.html').write_text(PAGE + '\n')
    who = pathlib.Path(folder, 'www/cgi-bin/who')
    who.write_text('#!/bin/sh\nprintf "\\r\\n%s\\n" "$(hostname)"\n')
    who.chmod(0o755)


def load_busybox(engine):
    """test/busybox waits to be told what to run; test/httpd serves a page at 80, which its image says, and /cgi-bin/who, its host name."""
    with tempfile.TemporaryDirectory(prefix='hypergate-image.', dir='/var/tmp') as folder:
        busybox_tree(folder)
        idle = 'trap exit TERM; while :; do sleep 1 & wait; done'
        engine.imported('test/busybox', folder, f'CMD ["/bin/sh","-c","{idle}"]')
        engine.imported('test/httpd', folder, 'EXPOSE 80/tcp', 'CMD ["/bin/sh","-c","trap exit TERM; httpd -f -p 80 -h /www & wait"]')


def packages(folder, names):
    """These of Debian and all that they need, unpacked: against an empty list of what is installed apt names all of it."""
    pathlib.Path(folder, 'status').touch()
    os.makedirs(f'{folder}/archives/partial')
    done = subprocess.run(['apt-get', '-qq', '-y', '--no-install-recommends', '-o', f'Dir::State::status={folder}/status', '-o',
                           f'Dir::Cache::archives={folder}/archives', '-o', 'APT::Sandbox::User=root', '-o', 'Debug::NoLocking=1', '--download-only',
                           'install', *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for package in pathlib.Path(folder, 'archives').glob('*.deb'):
        subprocess.run(['dpkg-deb', '-x', package, f'{folder}/root'], check=True)


def mariadb_tree(tree):
    """Debian's server and client in @tree, which has busybox for the rest."""
    with tempfile.TemporaryDirectory(prefix='hypergate-image.', dir='/var/tmp') as folder:
        packages(folder, MARIADB)
        for name in LEFT_OUT:
            shutil.rmtree(f'{folder}/root/{name}', ignore_errors=True)
        for messages in pathlib.Path(folder, 'root/usr/share/mysql').glob('*/errmsg.sys'):
            if messages.parent.name != 'english':
                shutil.rmtree(messages.parent)
        subprocess.run(['sh', '-c', 'tar -C "$1" -cf - . | tar -C "$2" --keep-directory-symlink -xf -', 'sh', f'{folder}/root', tree], check=True)
    for name in 'var/lib/mysql', 'etc/mysql/conf.d':
        os.makedirs(os.path.join(tree, name), exist_ok=True)
    settings = pathlib.Path(tree, 'etc/mysql/my.cnf')
    settings.unlink(missing_ok=True)
    settings.write_text('[client-server]\n')
    for name, line in ('passwd', 'mysql:x:999:999::/nonexistent:/bin/false\n'), ('group', 'mysql:x:999:\n'):
        with open(os.path.join(tree, 'etc', name), 'a') as file:
            file.write(line)
    for name, text in ('serve', SERVE_MARIADB), ('www/cgi-bin/things', ASK_MARIADB):
        path = pathlib.Path(tree, name)
        path.write_text(text)
        path.chmod(0o755)


def mariadb_file(work):
    """It, where tests/run.sh keeps what it makes."""
    made = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
    kept = os.path.join(work, f'mariadb-{made}.tar')
    if not os.path.exists(kept):
        with tempfile.TemporaryDirectory(prefix='hypergate-image.', dir='/var/tmp') as folder:
            busybox_tree(folder)
            mariadb_tree(folder)
            subprocess.run(['tar', '-C', folder, '--owner=0', '--group=0', '--numeric-owner', '-cf', f'{kept}.new', '.'], check=True)
            os.rename(f'{kept}.new', kept)
    return kept


def load_mariadb(engine):
    """test/mariadb is Debian's server, at 3306, and its client; test/page has /cgi-bin/things at 80, which asks the server $DATABASE by name."""
    for name, changes in (('test/mariadb', ['ENTRYPOINT ["/serve"]', 'EXPOSE 3306/tcp', 'VOLUME /var/lib/mysql']),
                          ('test/page', ['CMD ["/bin/sh","-c","trap exit TERM; httpd -f -p 80 -h /www & wait"]', 'EXPOSE 80/tcp'])):
        words = [word for change in [*changes, 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin'] for word in ('--change', change)]
        engine.ok('import', *words, made_before('HYPERGATE_MARIADB'), name)


def load_ours(engine):
    """As a user would: what tests/run.sh made of the static build, or who else started this."""
    return engine.ok('load', '-i', image_file())


def image_file():
    return made_before('HYPERGATE_IMAGE')


def made_before(variable):
    path = os.environ.get(variable)
    if not path:
        raise RuntimeError(f'{variable} must name what was made before: run these tests by tests/run.sh docker')
    return path


if __name__ == '__main__':
    print(mariadb_file(sys.argv[1]))
