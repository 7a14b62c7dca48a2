#!/bin/sh
# Makes, once, what the files here only name: passwords, the integrity key, a certificate authority with a certificate for the Redis servers and
# one for the Curfews; and copies of the files with the passwords put in. All of it in `made/`, which is not to be checked in.
#   sh fleet/make-secrets.sh [folder to make]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
made=${1:-$here/made}
if [ -e "$made" ]; then echo "$made is there already"; exit 0; fi
umask 077
half="$made.half.$$"
mkdir -p "$half/tls" "$half/secrets"
secret() { openssl rand -hex 24; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=curfew-fleet -keyout "$half/tls/ca.key" -out "$half/tls/ca.crt" 2>/dev/null
for name in redis curfew; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name.internal" -keyout "$half/tls/$name.key" -out "$half/$name.csr" 2>/dev/null
  printf 'subjectAltName=DNS:%s.internal\nextendedKeyUsage=serverAuth,clientAuth\n' "$name" > "$half/$name.ext"
  openssl x509 -req -in "$half/$name.csr" -CA "$half/tls/ca.crt" -CAkey "$half/tls/ca.key" -CAcreateserial -days 825 -extfile "$half/$name.ext" -out "$half/tls/$name.crt" 2>/dev/null
  rm "$half/$name.csr" "$half/$name.ext"
done
# Who makes certificates later has the key somewhere else.
mv "$half/tls/ca.key" "$half/ca.key"

curfew=$(secret); replica=$(secret); sentinel=$(secret); envoy=$(secret)
printf '%s' "$curfew" > "$half/secrets/redis-password"
printf '%s' "$envoy" > "$half/secrets/envoy-token"
secret > "$half/secrets/integrity-key"
for file in redis.conf sentinel.conf users.acl envoy.yaml; do
  sed "s/CHANGE-ME-curfew/$curfew/; s/CHANGE-ME-replica/$replica/; s/CHANGE-ME-sentinel/$sentinel/; s/CHANGE-ME-envoy-token/$envoy/" "$here/$file" > "$half/$file"
done
# The containers' own users read them.
chmod -R u=rwX,go=rX "$half"
chmod 600 "$half/ca.key"
mv "$half" "$made"
echo "made $made"
