#!/usr/bin/env bash
# Makes the secrets of one installation in compose/secrets. Secrets that exist are kept.
#   redis_password  what the roles log in with
#   redis_users     Redis's user list; it holds the password's SHA-256, not the password
#   gateway_key     the API key that clients send
set -euo pipefail

cd "$(dirname "$0")"
# The folder is closed to other users of the host. The files are readable because containers run as another user.
mkdir -p secrets
chmod 0700 secrets

random() { head -c 32 /dev/urandom | sha256sum | cut -d ' ' -f 1; }

[ -e secrets/redis_password ] || random > secrets/redis_password
# Written anew each time, so that an update of the rules reaches an existing installation.
hash=$(tr -d '\n' < secrets/redis_password | sha256sum | cut -d ' ' -f 1)
rm -f secrets/redis_users
{
    # The health check asks as the default user, which may do nothing else.
    echo "user default on nopass resetkeys resetchannels -@all +ping"
    echo "user reelway on #$hash resetchannels ~rw:* -@all +@read +@write +@connection +@transaction +@scripting" \
        "-@dangerous +info +time"
} > secrets/redis_users
[ -e secrets/gateway_key ] || echo "rw_$(random)" > secrets/gateway_key
chmod 0444 secrets/redis_password secrets/redis_users secrets/gateway_key
echo "secrets are in $PWD/secrets"
