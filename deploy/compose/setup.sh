#!/usr/bin/env bash
# shellcheck disable=SC2034 # lib.sh and images.sh read what is set here
#
# make compose: everything that docker-compose.yml needs: base images, secrets, certificates, configuration and the file for
# --env-file, all in $MILLRACE_HOME (default .local/compose). Idempotent: secrets that are there stay.
#
# MILLRACE_PORT      port of the gateway on this machine (default 8000); objects are at +4, the runservice at +5
# MILLRACE_ADDRESS   address under which task containers reach the gateway (default: that of the engine's bridge)
# MILLRACE_LISTEN    this machine's address on which other hosts' executors reach the runservice (default 127.0.0.1: none do)
# MILLRACE_EXECUTORS highest number of executors that --scale may name (default 8)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${MILLRACE_HOME:=$here/../../.local/compose}"
export MILLRACE_HOME
# shellcheck source=/dev/null
for part in lib engine images config; do
	. "$here/../stack/$part.sh"
done
trap on_exit EXIT
as_root "$here/setup.sh" "$@"
stack_paths
stack_dirs
# shellcheck disable=SC2034 # NOTE is read by step
SERVER_UID=10001 # of gateway and runservice in their containers
EXECUTORS=${MILLRACE_EXECUTORS:-8}
ID=compose-$STACK_ID # two deployments on one engine do not mistake each other's containers for their own
exec 8>"$MILLRACE_HOME/lock"
flock -w 900 8 || die "the lock is held" "" "another make compose hangs"

engine() {
	engine_find || die "no container engine answers" "" "start it (systemctl start docker), or name its socket with DOCKER_HOST"
	case $ENGINE in
	unix://*) ENGINE_SOCKET_PATH=${ENGINE#unix://} ;;
	*) die "executors speak to a unix socket, not to $ENGINE" "" "run this on the engine's host" ;;
	esac
	ADDRESS=${MILLRACE_ADDRESS:-$(bridge_address)}
	[ -n "$ADDRESS" ] || die "the engine's bridge network has no address" "" "name one that task containers reach: MILLRACE_ADDRESS=..."
	NOTE="$ENGINE, address $ADDRESS"
}

password() {
	local file=$SECRETS/pgpass-$1
	if [ ! -s "$file" ]; then
		printf 'postgres:5432:millrace:millrace_%s:%s\n' "$1" "$(od -An -v -tx1 -N 24 /dev/urandom | tr -d ' \n')" |
			write_private "$file"
	fi
}

secrets() {
	local n
	mkdir -p "$SECRETS/executors"
	secret master-key 32
	secret rpc-key 32
	secret admin-token 24
	password gateway
	password runservice
	for ((n = 1; n <= EXECUTORS; n++)); do
		secret "executors/$ID-$n.key" 32
	done
}

# One certificate, its own authority, for the names and addresses under which executors know the runservice.
certificate() {
	local names="DNS:runservice,DNS:localhost,IP:127.0.0.1,IP:$ADDRESS" stamp=$SECRETS/tls-names
	if [ "$LISTEN" != 127.0.0.1 ] && [ "$LISTEN" != "$ADDRESS" ]; then
		names=$names,IP:$LISTEN
	fi
	if [ -s "$SECRETS/tls-cert.pem" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$names" ]; then
		return 0
	fi
	(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=runservice \
		-addext "subjectAltName=$names" -keyout "$SECRETS/tls-key.pem" -out "$SECRETS/tls-cert.pem") 2>"$LOGS/openssl.log" ||
		die "the certificate could not be made" "$LOGS/openssl.log" "openssl is too old"
	printf '%s' "$names" >"$stamp"
}

extra() {
	if [ -f "$MILLRACE_HOME/extra/$1.yml" ]; then
		cat "$MILLRACE_HOME/extra/$1.yml"
	fi
}

# Objects are kept in a directory unless extra/runservice.yml says object_store: s3. Then the store's certificate is not ours.
on_s3() {
	extra runservice | grep -q '^object_store: *s3'
}

configuration() {
	on_s3 || DIR_OBJECTS=yes
	{
		cat <<-EOC
			listen: 0.0.0.0:8000
			public_url: http://$ADDRESS:$MILLRACE_PORT
			database: "host=postgres dbname=millrace user=millrace_gateway passfile=/run/secrets/pgpass-gateway"
			runservice: tls+tcp://runservice:8005
			tls_ca: /run/secrets/tls-cert
			tls_server_name: runservice
			rpc_key_file: /run/secrets/rpc-key
			admin_token_file: /run/secrets/admin-token
			data_dir: /var/lib/millrace/gateway
		EOC
		extra gateway
	} >"$CONF/gateway.yml"
	{
		cat <<-EOC
			rpc_listen: tls+tcp://0.0.0.0:8005
			http_listen: 0.0.0.0:8004
			object_url: $OBJECT_URL
			cert_file: /run/secrets/tls-cert
			key_file: /run/secrets/tls-key
			database: "host=postgres dbname=millrace user=millrace_runservice passfile=/run/secrets/pgpass-runservice"
			data_dir: /var/lib/millrace/runservice
			master_key_file: /run/secrets/master-key
			gateway_key_file: /run/secrets/rpc-key
			executor_keys_dir: /run/secrets/executors
		EOC
		extra runservice
	} >"$CONF/runservice.yml"
	{
		cat <<-EOC
			id: $ID
			replicas: $EXECUTORS
			key_file: /run/secrets/executors
			runservice: tls+tcp://runservice:8005
			tls_ca: /run/secrets/tls-cert
			tls_server_name: runservice
			${DIR_OBJECTS:+objects_ca: /run/secrets/tls-cert}
			http_listen: 127.0.0.1:8006
			engine: unix:///var/run/docker.sock
			toolbox: /usr/local/bin/millrace-toolbox
			spool_dir: /var/lib/millrace/executor
		EOC
		extra executor
	} >"$CONF/executor.yml"
}

# What a container's user has to read, and nobody else.
permissions() {
	chmod 755 "$MILLRACE_HOME" "$CONF"
	chmod 644 "$CONF"/*.yml "$SECRETS/tls-cert.pem"
	chmod 711 "$SECRETS"
	chown "$SERVER_UID" "$SECRETS"/{master-key,rpc-key,admin-token,pgpass-gateway,pgpass-runservice,tls-key.pem}
	if [ -e "$SECRETS/s3-secret-key" ]; then
		chown "$SERVER_UID" "$SECRETS/s3-secret-key"
		chmod 400 "$SECRETS/s3-secret-key"
	fi
	chown -R "$SERVER_UID" "$SECRETS/executors"
	chmod 700 "$SECRETS/executors"
}

env_file() {
	cat >"$MILLRACE_HOME/env" <<-EOC
		COMPOSE_PROJECT_NAME=millrace-$STACK_ID
		DOCKER_HOST=$ENGINE
		MILLRACE_BASE_SERVER=$(image_tag server "$IMAGES/server.sh")
		MILLRACE_BASE_POSTGRES=$(image_tag postgres "$IMAGES/postgres.sh")
		MILLRACE_BIN=$BIN
		MILLRACE_ENGINE_SOCKET=$ENGINE_SOCKET_PATH
		MILLRACE_PORT=$MILLRACE_PORT
		MILLRACE_LISTEN=$LISTEN
		MILLRACE_PORT_OBJECTS=$(port_of runservice-http)
		MILLRACE_PORT_RPC=$(port_of runservice-rpc)
		MILLRACE_EXECUTOR=$ID
		MILLRACE_EXECUTORS=$EXECUTORS
		MILLRACE_SOURCE=$ROOT
		MILLRACE_STATE=$MILLRACE_HOME
		MILLRACE_VERSION=$("$BIN/millrace-runservice" --version | awk '{ print $NF }' | tr -c 'A-Za-z0-9_.\n' -)
	EOC
	chmod 644 "$MILLRACE_HOME/env"
	NOTE=$MILLRACE_HOME/env
}

LISTEN=${MILLRACE_LISTEN:-127.0.0.1}
# Executors elsewhere reach the objects under the same name as those here.
OBJECT_URL=https://runservice:8004
[ "$LISTEN" = 127.0.0.1 ] || OBJECT_URL=https://$LISTEN:$(port_of runservice-http)
say "Millrace with docker-compose: $MILLRACE_HOME"
[ "$LISTEN" != 0.0.0.0 ] || die "MILLRACE_LISTEN=0.0.0.0 is no address that an executor can connect to" "" "name one of this machine's"
step "container engine" engine
step "base images" images_build compose
step "secrets" secrets
step "certificate" certificate
step "configuration" configuration
step "permissions" permissions
step "env file" env_file
say "now: docker-compose --env-file ${MILLRACE_HOME#"$PWD"/}/env up -d --build --scale executor=3"
say "administrator's token: $SECRETS/admin-token"
