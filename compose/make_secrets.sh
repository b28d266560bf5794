#!/usr/bin/env bash
# Makes the secrets of one installation in compose/secrets. Secrets that exist are kept.
#   redis_worker, redis_gateway, redis_reaper   what the roles log in with, by kind
#   redis_operator                              what a person logs in with: user operator
#   redis_users                                 Redis's user list; it holds the passwords' SHA-256, not the passwords
#   gateway_key                                 the API key that clients send
set -euo pipefail

cd "$(dirname "$0")"
# The folder is closed to other users of the host. The files are readable because containers run as another user.
mkdir -p secrets
chmod 0700 secrets

random() { head -c 32 /dev/urandom | sha256sum | cut -d ' ' -f 1; }

# Written anew each time, so that an update of the rights reaches an existing installation.
rm -f secrets/redis_users
# The health check asks as the default user, which may do nothing else.
echo "user default on nopass resetkeys resetchannels -@all +ping" > secrets/redis_users
while read -r kind rules; do
    [ -e "secrets/redis_$kind" ] || random > "secrets/redis_$kind"
    hash=$(tr -d '\n' < "secrets/redis_$kind" | sha256sum | cut -d ' ' -f 1)
    echo "user $kind on #$hash $rules" >> secrets/redis_users
    chmod 0444 "secrets/redis_$kind"
done < <(grep -v '^#' redis_rights)
# No container reads this one.
chmod 0400 secrets/redis_operator
[ -e secrets/gateway_key ] || echo "rw_$(random)" > secrets/gateway_key
chmod 0444 secrets/redis_users secrets/gateway_key
echo "secrets are in $PWD/secrets"
