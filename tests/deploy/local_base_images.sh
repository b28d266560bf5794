#!/usr/bin/env bash
# Makes stand-ins for the base images that compose/Dockerfile names, for a Docker engine that reaches a Debian mirror
# and the package indexes but no image registry. They carry the same tags, so the Dockerfile builds unchanged.
# They hold this host's certificate bundle and Rust toolchain and are meant for this host alone.
#
# usage: local_base_images.sh        needs root, mmdebstrap, docker and cargo; leaves existing tags alone
set -euo pipefail

python_tag=python:3.11-slim-bookworm
rust_tag=rust:1-slim-bookworm
redis_tag=redis:7.4-bookworm
bundle=/etc/ssl/certs/ca-certificates.crt
# Everything that talks TLS in a build is pointed at the copied bundle.
trust=(--change "ENV SSL_CERT_FILE=$bundle PIP_CERT=$bundle CARGO_HTTP_CAINFO=$bundle")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

have() { docker image inspect "$1" >/dev/null 2>&1; }

# base OUTPUT PACKAGE...: a minimal Debian 12 with the packages and this host's certificate bundle
base() {
    local output=$1 packages
    shift
    packages=$(IFS=,; echo "ca-certificates,$*")
    mmdebstrap --quiet --variant=minbase --include="$packages" \
        --customize-hook="copy-in $bundle /etc/ssl/certs" \
        bookworm "$output"
}

if ! have "$python_tag"; then
    base "$work/python.tar" python3 python3-venv python3-pip
    docker import "${trust[@]}" --change 'CMD ["python3"]' "$work/python.tar" "$python_tag"
fi

if ! have "$redis_tag"; then
    base "$work/redis.tar" redis-server
    # The real image has its data folder, owned by the user that compose.yaml names.
    mkdir -p "$work/data"
    tar --append --file "$work/redis.tar" -C "$work" --owner=999 --group=999 data
    docker import "${trust[@]}" --change 'CMD ["redis-server"]' "$work/redis.tar" "$redis_tag"
fi

if ! have "$rust_tag"; then
    base "$work/rust.tar" gcc libc6-dev
    mkdir -p "$work/usr/local/toolchain"
    sysroot=$(rustc --print sysroot)
    cp -a "$sysroot/bin" "$sysroot/lib" "$work/usr/local/toolchain/"
    tar --append --file "$work/rust.tar" -C "$work" --owner=0 --group=0 usr/local/toolchain
    docker import "${trust[@]}" \
        --change 'ENV PATH=/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'CMD ["bash"]' "$work/rust.tar" "$rust_tag"
fi

docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -E '^(python|redis|rust):'
