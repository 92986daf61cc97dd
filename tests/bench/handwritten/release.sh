#!/bin/sh
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# release.sh DIRECTORY PREFIX ENVIRONMENT ADMIN
#
# What a deployment with Bulkhead does with a release, by bare git, Docker and Compose: fetch, build, back up, migrate,
# a second container, its health, switch, drain, the container itself, switch back. It proves nothing, takes no lock,
# puts nothing back and keeps no record.
set -eu
directory=$1 prefix=$2 environment=$3 admin=$4
cd "$directory"
file=docker-compose.$environment.yml service=django_$environment
compose() { docker compose -p "$prefix" --project-directory . -f "$file" "$@"; }
healthy() { until [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" = healthy ]; do sleep 0.3; done; }
# Requests to this container. Old workers of nginx finish what they have.
switch() {
  sed -i "s#\(set .app_application http://\)[a-z_]*:#\1$1:#" "docker/nginx/$environment.conf"
  docker exec "${prefix}_nginx" nginx -s reload 2> /dev/null
  sleep 1
}

# The image prepares itself when it starts, unless it is told that somebody else does.
grep -q ^PREPARE_ON_START= .env || echo 'PREPARE_ON_START="0"' >> .env

git -C code fetch --quiet origin "$environment"
git -C code checkout --quiet --detach FETCH_HEAD
commit=$(git -C code rev-parse HEAD)
docker build --quiet --build-arg "BULKHEAD_COMMIT=$commit" --tag "${prefix}_django:$commit" code
sed -i "s/\(image: ${prefix}_django:\).*/\1$commit/" "$file"

mkdir -p backup
docker exec "${prefix}_postgresql" pg_dump --username "$admin" --format custom "$prefix" > backup/database.dump
docker exec "${prefix}_django" tar -C /srv/storage/media -cf - . > backup/media.tar

compose run --rm --no-deps --no-TTY --entrypoint python3 "$service" manage.py migrate --noinput
compose run --rm --no-deps --no-TTY --entrypoint python3 "$service" manage.py collectstatic --noinput --verbosity 0
compose run --detach --no-deps --name "${prefix}_django_next" "$service"
healthy "${prefix}_django_next"
switch "${prefix}_django_next"
compose up --detach --no-deps "$service"
healthy "${prefix}_django"
switch "${prefix}_django"
docker stop "${prefix}_django_next"
docker rm "${prefix}_django_next"
