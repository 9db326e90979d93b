# shellcheck shell=bash
# Our own daemons: started with --config, ready when /readyz says so.

daemon_port() {
	case $1 in
	gateway) port_of gateway ;;
	*) port_of "$1-http" ;;
	esac
}

# What a daemon was started from: a rebuilt binary or a changed configuration means a restart.
daemon_stamp() {
	cat "$BIN/millrace-$1" "$CONF/$1.yml" | sha256sum | cut -d' ' -f1
}

# daemon_start NAME: runservice, gateway or executor. The executor is root, for the engine's socket; the others are the
# checkout's owner.
daemon_start() {
	local name=$1 port stamp log=$LOGS/$1.log
	local -a run=()
	[ -x "$BIN/millrace-$name" ] || die "$BIN/millrace-$name is missing" "" "build it first: make"
	port=$(daemon_port "$name")
	stamp=$(daemon_stamp "$name")
	# shellcheck disable=SC2034
	NOTE=127.0.0.1:$port
	if pid_of "$PIDS/$name" >/dev/null; then
		if [ "$(cat "$PIDS/$name.stamp" 2>/dev/null)" = "$stamp" ] && http_ok "http://127.0.0.1:$port/readyz"; then
			return 0
		fi
		end_pidfile "$PIDS/$name" 15
	fi
	need_free_port "$name" "$port"
	: >>"$log"
	chown "$OWNER:$OWNER_GROUP" "$log"
	if [ "$OWNER" != root ] && [ "$name" != executor ]; then
		run=(setpriv "--reuid=$OWNER" "--regid=$OWNER_GROUP" --init-groups)
	fi
	spawn "$PIDS/$name" "$log" "${run[@]}" "$BIN/millrace-$name" --config "$CONF/$name.yml"
	echo "$stamp" >"$PIDS/$name.stamp"
	wait_for 30 "$PIDS/$name" http_ok "http://127.0.0.1:$port/readyz" ||
		die "millrace-$name is not ready (http://127.0.0.1:$port/readyz)" "$log" "the last lines of the log say it"
}

daemon_stop() {
	end_pidfile "$PIDS/$1" 15
	rm -f "$PIDS/$1.stamp"
}

# What a crash is to a daemon.
daemon_kill() {
	local pid
	if pid=$(pid_of "$PIDS/$1"); then
		kill -KILL "$pid"
		wait_for 10 "" pid_gone "$PIDS/$1" || die "millrace-$1 (pid $pid) does not die" "" "the kernel holds it: see its stack"
	fi
	rm -f "$PIDS/$1" "$PIDS/$1.stamp"
}

pid_gone() {
	! pid_of "$1" >/dev/null
}

STACK_USER=demo

# The ordinary user of the stack and its token, made once through the command line.
user_make() {
	local log=$LOGS/user.log url=http://127.0.0.1:$MILLRACE_PORT token code
	# shellcheck disable=SC2034
	NOTE=$STACK_USER
	if [ -s "$SECRETS/user-token" ]; then
		code=$(curl -s -m 5 -o /dev/null -w '%{http_code}' -H "Authorization: token $(cat "$SECRETS/user-token")" \
			"$url/api/v1alpha/user")
		if [ "$code" = 200 ]; then
			return 0
		fi
	fi
	cli_admin user create --username "$STACK_USER" >"$log" 2>&1 || grep -qi exist "$log" ||
		die "the user $STACK_USER could not be made" "$log" "the gateway's log has the reason: $LOGS/gateway.log"
	token=$(cli_admin user token create --username "$STACK_USER" --tokenname "stack-$(date +%s)" 2>>"$log") ||
		die "no token could be made for $STACK_USER" "$log" "the gateway's log has the reason: $LOGS/gateway.log"
	printf '%s\n' "$token" | write_private "$SECRETS/user-token"
}

cli_admin() {
	"$BIN/millrace" --gateway-url "http://127.0.0.1:$MILLRACE_PORT" --token "$(cat "$SECRETS/admin-token")" "$@"
}
