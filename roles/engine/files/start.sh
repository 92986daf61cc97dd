# Starts the engine without systemd: detached from the calling shell, with the options of
# /etc/default/docker and under the pid file of the package's own init script, so that
# `service docker status` and `service docker stop` know it.
DOCKER_OPTS=
if [ -r /etc/default/docker ]; then . /etc/default/docker; fi
ulimit -n 1048576 2>/dev/null || :
exec start-stop-daemon --start --background --oknodo \
    --pidfile /var/run/docker-ssd.pid --make-pidfile --output /var/log/docker.log \
    --exec "$(command -v dockerd)" -- --pidfile /var/run/docker.pid $DOCKER_OPTS
