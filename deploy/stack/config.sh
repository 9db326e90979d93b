# shellcheck shell=bash
# The configuration files of the daemons, their keys, and the file that tells users where the stack is.

# write FILE: standard input becomes the file, readable by its owner only.
write_private() {
	(umask 077 && cat >"$1")
	chown "$OWNER:$OWNER_GROUP" "$1"
}

config_gateway() {
	cat <<-EOC
		listen: 0.0.0.0:$MILLRACE_PORT
		public_url: http://$GATEWAY_ADDRESS:$MILLRACE_PORT
		database: "host=$PG_SOCKET dbname=millrace user=millrace_gateway"
		runservice: tcp://127.0.0.1:$(port_of runservice-rpc)
		rpc_key_file: $SECRETS/rpc-key
		admin_token_file: $SECRETS/admin-token
		data_dir: $MILLRACE_HOME/gateway
	EOC
}

config_runservice() {
	cat <<-EOC
		rpc_listen: tcp://127.0.0.1:$(port_of runservice-rpc)
		http_listen: 127.0.0.1:$(port_of runservice-http)
		object_url: http://127.0.0.1:$(port_of runservice-http)
		database: "host=$PG_SOCKET dbname=millrace user=millrace_runservice"
		data_dir: $MILLRACE_HOME/runservice
		master_key_file: $SECRETS/master-key
		gateway_key_file: $SECRETS/rpc-key
		executor_keys_dir: $SECRETS/executors
	EOC
}

config_executor() {
	local from to
	cat <<-EOC
		id: $EXECUTOR_ID
		key_file: $SECRETS/executors/$EXECUTOR_ID.key
		runservice: tcp://127.0.0.1:$(port_of runservice-rpc)
		http_listen: 127.0.0.1:$(port_of executor-http)
		engine: $ENGINE
		toolbox: $BIN/millrace-toolbox
		spool_dir: $MILLRACE_HOME/executor
		tasks: 4
	EOC
	if [ "$PUBLIC" = no ]; then
		echo "images:"
		images_rewrites | while read -r from to; do
			printf '  - from: "%s"\n    to: "%s"\n' "$from" "$to"
		done
	fi
}

# config_with_extra NAME: what the stack says, and the user's own keys from extra/NAME.yml.
config_with_extra() {
	{
		"config_$1"
		if [ -f "$MILLRACE_HOME/extra/$1.yml" ]; then
			cat "$MILLRACE_HOME/extra/$1.yml"
		fi
	} | write_private "$CONF/$1.yml"
}

config_write() {
	local dir
	for dir in gateway runservice; do
		install -d -m 700 -o "$OWNER" -g "$OWNER_GROUP" "$MILLRACE_HOME/$dir"
	done
	install -d -m 700 "$MILLRACE_HOME/executor"
	install -d -m 700 -o "$OWNER" -g "$OWNER_GROUP" "$SECRETS/executors"
	secret rpc-key 32
	secret master-key 32
	secret admin-token 24
	secret "executors/$EXECUTOR_ID.key" 32
	config_with_extra gateway
	config_with_extra runservice
	config_with_extra executor
}

# env_write TOKEN: shell assignments; the values hold nothing that a shell would expand.
env_write() {
	write_private "$MILLRACE_HOME/env" <<-EOC
		MILLRACE_URL=http://127.0.0.1:$MILLRACE_PORT
		MILLRACE_ADMIN_TOKEN=$(cat "$SECRETS/admin-token")
		MILLRACE_TOKEN=$1
		MILLRACE_USER=$STACK_USER
		MILLRACE_REGISTRY=$GATEWAY_ADDRESS:$(port_of registry)
		MILLRACE_REGISTRY_LOCAL=127.0.0.1:$(port_of registry)
		MILLRACE_REGISTRY_USER=$REGISTRY_USER
		MILLRACE_REGISTRY_PASSWORD=$(cat "$SECRETS/registry-password")
		MILLRACE_ENGINE=$ENGINE
		MILLRACE_EXECUTOR=$EXECUTOR_ID
	EOC
}
