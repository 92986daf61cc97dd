# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What release.sh and setting.sh have in common; they source it in the directory of the environment, with its prefix and
# name in the variables prefix and environment.
file=docker-compose.$environment.yml service=django_$environment
compose() { docker compose -p "$prefix" --project-directory . -f "$file" "$@"; }
healthy() { until [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" = healthy ]; do sleep 0.3; done; }
# Requests to this container. Old workers of nginx finish what they have.
switch() {
  sed -i "s#\(set .app_application http://\)[a-z_]*:#\1$1:#" "docker/nginx/$environment.conf"
  docker exec "${prefix}_nginx" nginx -s reload 2> /dev/null
  sleep 1
}
# The application's container by a new one, while a second one serves.
replace() {
  compose run --detach --no-deps --name "${prefix}_django_next" "$service"
  healthy "${prefix}_django_next"
  switch "${prefix}_django_next"
  compose up --detach --no-deps "$service"
  healthy "${prefix}_django"
  switch "${prefix}_django"
  docker stop "${prefix}_django_next"
  docker rm "${prefix}_django_next"
}
