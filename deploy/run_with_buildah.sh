#!/usr/bin/env bash
# Run a command in a new container of an image, with buildah, as root: `slipway/tools/container.py` calls this.
#
#   unshare --mount deploy/run_with_buildah.sh IMAGE ro|rw USER COMMAND...
#
# buildah's own `run` can neither make the root read-only nor pass on the signal that stops a server. So the image's files
# are mounted, and the command is started in them. USER may be empty: it is then the image's. /tmp is in memory. The mounts
# are seen by this process and its children only, because of `unshare`, and the container is gone when the command ends.
set -euo pipefail

image=$1 mode=$2 user=$3
shift 3

container=$(buildah from --pull-never "$image")
root=$(buildah mount "$container")
trap 'umount --lazy --recursive "$root" && buildah rm "$container" >/dev/null' EXIT

of_image() { buildah inspect --type container --format "{{$1}}" "$container"; }
mapfile -t environment < <(of_image 'range .Docker.Config.Env}}{{println .}}{{end')
user=${user:-$(of_image .Docker.Config.User)}

cp /etc/hosts "$root/etc/hosts"
mount --bind -o "$mode" "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"

chroot --userspec="$user" "$root" env -i "${environment[@]}" HOME=/tmp BENTOML_HOST=127.0.0.1 "$@" &
child=$!
trap 'kill "$child"' TERM INT
status=0
while kill -0 "$child" 2>/dev/null; do wait "$child" && status=0 || status=$?; done
exit "$status"
