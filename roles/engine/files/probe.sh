# Reports which parts of the engine are on this machine: one `key=value` per part, empty if it is missing.
# A docker command does not prove that an engine runs: only the daemon's own answer counts.
answer() { timeout 30 "$@" 2>/dev/null || :; }
installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }
number() { grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1; }

echo "uid=$(id -u)"
echo "daemon=$(command -v dockerd)"
echo "client=$(command -v docker)"
echo "engine=$(answer docker version --format '{{.Server.Version}}' | number)"
echo "compose=$(answer docker compose version --short | number)"
echo "buildx=$(answer docker buildx version | number)"
echo "legacy_command=$(command -v docker-compose)"
echo "legacy_version=$(answer docker-compose version --short | number)"
echo "live_restore=$(answer docker info --format '{{.LiveRestoreEnabled}}' | grep -xE 'true|false')"
echo "swarm=$(answer docker info --format '{{.Swarm.LocalNodeState}}' | grep -xE '[a-z]+')"
echo "package=$(for name in docker-ce docker.io; do installed $name && echo $name && break; done)"
echo "pinned=$(grep -lsw docker.io /etc/apt/preferences.d/zz-bulkhead-engine)"
echo "docker_source=$(grep -rlsF -- "$ENGINE_DOCKER_REPOSITORY" /etc/apt/sources.list /etc/apt/sources.list.d | head -n 1)"
echo "age=$(command -v age)"
echo "validates=$(dockerd --help 2>/dev/null | grep -o -m 1 -- --validate)"
pid=$(cat /var/run/docker.pid 2>/dev/null || pidof -s dockerd)
echo "pid=$pid"
echo "flags=$(tr '\0' ' ' 2>/dev/null <"/proc/${pid:-none}/cmdline")"
echo "config=$(base64 -w 0 /etc/docker/daemon.json 2>/dev/null)"
