# shellcheck shell=bash
# The container engine: the one that answers, else one of our own that all stacks of the machine share.
#
# Two engines in one network namespace delete each other's bridge, so ours is started only when none is there, under a
# lock, and is counted: one file per stack in $ENGINE_RUN/users. The last stack that goes stops it.

ENGINE_RUN=/run/millrace-engine
ENGINE_DATA=/var/lib/millrace-engine
ENGINE_SOCKET=$ENGINE_RUN/docker.sock
ENGINE_LOG=$ENGINE_DATA/dockerd.log
ENGINE_PID=$ENGINE_RUN/dockerd.stamp

# The Debian client speaks the version of the Debian engine; a newer one found earlier in PATH may not.
docker_cli() {
	if [ -x /usr/bin/docker ]; then
		DOCKER_HOST=$ENGINE DOCKER_BUILDKIT=0 /usr/bin/docker "$@"
	else
		DOCKER_HOST=$ENGINE DOCKER_BUILDKIT=0 docker "$@"
	fi
}

engine_answers() {
	case $1 in
	unix://*) [ "$(curl -s -m 3 --unix-socket "${1#unix://}" http://engine/_ping 2>/dev/null)" = OK ] ;;
	tcp://*) [ "$(curl -s -m 3 "http://${1#tcp://}/_ping" 2>/dev/null)" = OK ] ;;
	*) return 1 ;;
	esac
}

# Sets ENGINE to the engine that answers, or fails.
engine_find() {
	local candidate
	if [ -n "${DOCKER_HOST:-}" ]; then
		ENGINE=$DOCKER_HOST
		if [ "$ENGINE" = "unix://$ENGINE_SOCKET" ] && ! engine_answers "$ENGINE"; then
			return 1
		fi
		engine_answers "$ENGINE" || die "no engine answers at DOCKER_HOST=$DOCKER_HOST" "" \
			"it is not running, or you may not open its socket; unset DOCKER_HOST to let the stack start its own"
		return 0
	fi
	for candidate in unix:///var/run/docker.sock "unix://$ENGINE_SOCKET"; do
		if engine_answers "$candidate"; then
			ENGINE=$candidate
			return 0
		fi
	done
	return 1
}

# Another dockerd of this network namespace that answers nowhere we know.
engine_stranger() {
	local pid
	for pid in $(pgrep -x dockerd || true); do
		if [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ]; then
			echo "$pid"
			return 0
		fi
	done
	return 1
}

engine_start_own() {
	local stranger tries
	if stranger=$(engine_stranger); then
		die "dockerd with pid $stranger runs on this machine, but not at a socket that is known here" "" \
			"two engines break each other: name its socket with DOCKER_HOST=unix://..., or stop it"
	fi
	mkdir -p "$ENGINE_DATA"
	ENGINE=unix://$ENGINE_SOCKET
	for tries in 1 2 3; do
		# What a killed engine left makes the next one wait for a containerd that is no longer there.
		rm -f "$ENGINE_RUN/docker.pid" "$ENGINE_RUN/exec/containerd/containerd.pid" "$ENGINE_SOCKET"
		spawn "$ENGINE_PID" "$ENGINE_LOG" dockerd --data-root "$ENGINE_DATA/data" --exec-root "$ENGINE_RUN/exec" \
			-H "$ENGINE" --pidfile "$ENGINE_RUN/docker.pid" --live-restore --insecure-registry 172.16.0.0/12
		if wait_for 30 "$ENGINE_PID" engine_answers "$ENGINE"; then
			return 0
		fi
		end_pidfile "$ENGINE_PID" 10
		say "engine did not answer (attempt $tries of 3)" >>"$ENGINE_LOG"
	done
	die "dockerd does not answer" "$ENGINE_LOG" \
		"missing kernel features (overlay, iptables) or rights: it needs root on a machine, not in a plain container"
}

# The host's address on the engine's bridge, empty where there is none. An engine in its first life does not name it.
bridge_address() {
	local address
	address=$(docker_cli network inspect bridge -f '{{(index .IPAM.Config 0).Gateway}}' 2>/dev/null || true)
	if [ -z "$address" ]; then
		address=$(ip -4 -o addr show docker0 2>/dev/null | sed -E 's/.*inet ([0-9.]+).*/\1/' | head -n 1)
	fi
	printf '%s\n' "$address"
}

# Uses or starts the engine, and records that this stack needs it when it is our own. Sets ENGINE, GATEWAY_ADDRESS.
engine_up() {
	mkdir -p "$ENGINE_RUN/users"
	exec 9>"$ENGINE_RUN/lock"
	flock -w 120 9 || die "the engine's lock is held" "" "another make up or make down hangs: see $ENGINE_RUN/lock"
	engine_find || engine_start_own
	if [ "$ENGINE" = "unix://$ENGINE_SOCKET" ]; then
		printf '%s\n' "$MILLRACE_HOME" >"$ENGINE_RUN/users/$STACK_ID"
	fi
	exec 9>&-
	printf '%s\n' "$ENGINE" >"$MILLRACE_HOME/engine"
	GATEWAY_ADDRESS=$(bridge_address)
	if [ -z "$GATEWAY_ADDRESS" ]; then
		die "the engine's bridge network has no address" "$ENGINE_LOG" "it runs without a bridge (--bridge=none)"
	fi
	# shellcheck disable=SC2034 # read by step
	NOTE=$ENGINE
}

# One round over everything with our label and this stack's executor: containers, then volumes, then networks. True when
# nothing was there any more.
engine_sweep_round() {
	local some=0 id
	local label=label=millrace.executor=$EXECUTOR_ID
	for id in $(docker_cli ps -aq --no-trunc --filter "$label"); do
		some=1
		docker_cli rm -fv "$id" || true
	done
	for id in $(docker_cli volume ls -q --filter "$label"); do
		some=1
		docker_cli volume rm -f "$id" || true
	done
	for id in $(docker_cli network ls -q --no-trunc --filter "$label"); do
		some=1
		docker_cli network rm "$id" || true
	done
	[ "$some" = 0 ]
}

# What the executor was just removing itself is refused: hence the rounds.
engine_sweep() {
	local log=$LOGS/sweep.log
	: >"$log"
	wait_for 30 "" engine_sweep_quietly || die "containers, volumes or networks could not be removed" "$log" "the engine hangs"
}
engine_sweep_quietly() {
	engine_sweep_round >>"$LOGS/sweep.log" 2>&1
}

# What a crash is to an engine: the containers live on (--live-restore) and are found again.
engine_kill() {
	local pid containerd
	pid=$(pid_of "$ENGINE_PID") || die "the engine is not one that a stack has started" "" "it is left alone"
	containerd=$(pgrep -P "$pid" -x containerd || true) # dies with it
	kill -KILL "$pid"
	wait_for 10 "" engine_gone "$containerd" || die "dockerd (pid $pid) does not die" "" "the kernel holds it: see its stack"
}
engine_gone() {
	! pid_of "$ENGINE_PID" && { [ -z "$1" ] || ! proc_started "$1"; }
}

# Our own engine ends with its last user; what still runs in it ends with it.
engine_stop_own() {
	local ids pid
	if engine_answers "unix://$ENGINE_SOCKET"; then
		ENGINE=unix://$ENGINE_SOCKET
		ids=$(docker_cli ps -q --no-trunc)
		# shellcheck disable=SC2086
		[ -z "$ids" ] || docker_cli kill $ids >/dev/null || true
	fi
	end_pidfile "$ENGINE_PID" 30
	# With --live-restore an engine leaves containerd and its shims behind.
	for pid in $(pgrep -f "^[^ ]*containerd[^ ]* .*$ENGINE_RUN/exec/" || true); do
		end_pid "$pid" 10
	done
	rm -rf "$ENGINE_RUN/exec" "$ENGINE_RUN/docker.pid" "$ENGINE_SOCKET"
}

# stack_lives HOME: one of its processes runs, or it is coming up right now.
stack_lives() {
	local file
	for file in "$1"/pids/*; do
		if pid_of "$file" >/dev/null 2>&1; then
			return 0
		fi
	done
	[ -e "$1/lock" ] && ! flock -n "$1/lock" true
}

# A stack whose processes were killed, or whose directory was removed, no longer counts.
engine_forget_dead() {
	local user
	for user in "$ENGINE_RUN"/users/*; do
		if [ -e "$user" ] && ! stack_lives "$(cat "$user")"; then
			rm -f "$user"
		fi
	done
}

# engine_down: this stack no longer needs the engine.
engine_down() {
	[ -e "$ENGINE_RUN/users/$STACK_ID" ] || return 0
	exec 9>"$ENGINE_RUN/lock"
	flock -w 120 9 || die "the engine's lock is held" "" "another make up or make down hangs: see $ENGINE_RUN/lock"
	rm -f "$ENGINE_RUN/users/$STACK_ID"
	engine_forget_dead
	if [ -z "$(ls -A "$ENGINE_RUN/users")" ]; then
		engine_stop_own
		# shellcheck disable=SC2034
		NOTE="stopped"
	else
		# shellcheck disable=SC2034
		NOTE="kept: other stacks use it"
	fi
	exec 9>&-
}
