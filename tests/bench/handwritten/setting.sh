#!/bin/sh
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# setting.sh DIRECTORY PREFIX ENVIRONMENT NAME VALUE
#
# Change one setting of the application and replace its container without a gap, as release.sh does.
set -eu
directory=$1 prefix=$2 environment=$3 name=$4 value=$5
here=$(cd "$(dirname "$0")" && pwd)
cd "$directory"
. "$here/gapless.sh"

sed -i "/^$name=/d" .env
printf '%s="%s"\n' "$name" "$value" >> .env
replace
