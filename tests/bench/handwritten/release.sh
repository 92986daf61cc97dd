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
here=$(cd "$(dirname "$0")" && pwd)
cd "$directory"
. "$here/gapless.sh"

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
replace
