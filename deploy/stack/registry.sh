# shellcheck shell=bash
# The two registries of a stack: the image store (open, read-only), and the private one that runs push to, which asks for
# a password. Both listen on all addresses: tasks reach them by the address of the engine's bridge, the engine by 127.0.0.1.

# registry_config KIND ADDRESS DIRECTORY
registry_config() {
	cat <<-EOC
		version: 0.1
		log: { level: warn, accesslog: { disabled: true } }
		storage:
		  filesystem: { rootdirectory: $3 }
		  delete: { enabled: true }
	EOC
	if [ "$1" = images ]; then
		printf '  maintenance: { readonly: { enabled: true } }\n'
	fi
	printf 'http: { addr: "%s", secret: "%s" }\n' "$2" "$(cat "$SECRETS/registry-http")"
	if [ "$1" = registry ]; then
		printf 'auth: { htpasswd: { realm: millrace, path: %s } }\n' "$SECRETS/htpasswd"
	fi
}

registry_answers() {
	case $(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/v2/") in
	200 | 401) return 0 ;;
	*) return 1 ;;
	esac
}

# registry_start KIND: images, images-writable or registry. Nothing to do when it runs.
registry_start() {
	local kind=$1 port dir address
	case $kind in
	registry) dir=$MILLRACE_HOME/registry/pushed ;;
	*) dir=$MILLRACE_HOME/registry/images ;;
	esac
	port=$(port_of "${kind%-writable}")
	address=":$port"
	[ "$kind" != images-writable ] || address="127.0.0.1:$port"
	if pid_of "$PIDS/registry-$kind" >/dev/null && registry_answers "$port"; then
		return 0
	fi
	registry_end "$kind"
	need_free_port "registry" "$port"
	mkdir -p "$dir"
	secret registry-http 32
	(umask 077 && registry_config "$kind" "$address" "$dir" >"$CONF/registry-$kind.yml")
	spawn "$PIDS/registry-$kind" "$LOGS/registry-$kind.log" docker-registry serve "$CONF/registry-$kind.yml"
	wait_for 15 "$PIDS/registry-$kind" registry_answers "$port" ||
		die "the registry does not answer on port $port" "$LOGS/registry-$kind.log" "the port is taken"
	# shellcheck disable=SC2034
	NOTE=127.0.0.1:$port
}

registry_end() {
	end_pidfile "$PIDS/registry-$1" 10
}

REGISTRY_USER=ci
registry_password() {
	secret registry-password 16
	[ -s "$SECRETS/htpasswd" ] ||
		(umask 077 && htpasswd -Bbn "$REGISTRY_USER" "$(cat "$SECRETS/registry-password")" >"$SECRETS/htpasswd")
}
