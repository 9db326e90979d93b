#!/usr/bin/env bash
# run.sh: the figures of docs/performance.md, on a stack of its own with a durable PostgreSQL. Value and baseline of a row are measured
# in turns within one run. Prints a table and writes build/bench.json. T=row measures only rows with that in their name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export MILLRACE_HOME=$PWD/build/bench-stack MILLRACE_PORT=${MILLRACE_PORT:-19100}
B=$PWD/build/bench
export MILLRACE_BUILD=$PWD/build
ROUNDS=${ROUNDS:-3}
OUT=$PWD/build/bench.json
rows=()

wanted() {
	[[ -z ${T:-} || $1 == *"$T"* ]]
}
any_wanted() {
	local name
	for name in "$@"; do
		if wanted "$name"; then
			return 0
		fi
	done
	return 1
}
# median < numbers
median() {
	sort -g | awk '{ v[NR] = $1 } END { if (NR) printf "%.3f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
percentile() {
	sort -g | awk -v p="$1" '{ v[NR] = $1 } END { i = int(NR * p / 100); if (NR) printf "%.3f", v[i < 1 ? 1 : i] }'
}
# row NAME UNIT VALUE BASELINE_NAME BASELINE AIM: AIM is ">= 0.25" or "<= 1.15", of the ratio; of the value when BASELINE is "-".
row() {
	local ratio=null base=null reached subject
	if [ "$5" != - ]; then
		base=$5
		ratio=$(awk -v a="$3" -v b="$5" 'BEGIN { printf "%.4f", a / b }')
	fi
	subject=$ratio
	[ "$ratio" != null ] || subject=$3
	reached=$(awk -v x="$subject" -v op="${6%% *}" -v y="${6##* }" 'BEGIN { print (op == ">=" ? x >= y : x <= y) ? "yes" : "no" }')
	printf '%-20s %12s %-8s %-34s %12s %9s   %-8s %s\n' "$1" "$3" "$2" "$4" "${5}" "${ratio/null/-}" "$6" "$reached"
	rows+=("$(printf '{"name": "%s", "unit": "%s", "value": %s, "baseline_name": "%s", "baseline": %s, "ratio": %s}' \
		"$1" "$2" "$3" "$4" "$base" "$ratio")")
}

stack_down() {
	pkill -f "$B/drive" 2>/dev/null || true
	deploy/stack/down.sh --purge >/dev/null 2>&1 || true
}
write_json() {
	{
		echo "["
		local i
		for ((i = 0; i < ${#rows[@]}; i++)); do
			printf '  %s%s\n' "${rows[i]}" "$([ $((i + 1)) = ${#rows[@]} ] || echo ,)"
		done
		echo "]"
	} >"$OUT"
	echo "written: ${OUT#"$PWD"/}"
}
trap stack_down EXIT
trap 'exit 130' INT TERM

daemon() {
	deploy/stack/daemon.sh "$@"
}
sql() {
	deploy/stack/psql.sh -qAt -c "$1"
}
# The Debian client speaks the version of the Debian engine.
engine_cli() {
	local docker=docker
	[ ! -x /usr/bin/docker ] || docker=/usr/bin/docker
	DOCKER_HOST=$MILLRACE_ENGINE $docker "$@"
}
now_ns() {
	date +%s%N
}

# --- runs through the API ---

api() {
	local -a body=()
	[ $# -lt 3 ] || body=(-H 'Content-Type: application/json' --data-binary "$3")
	curl -sS -m 60 -X "$1" -H "Authorization: token $MILLRACE_TOKEN" "${body[@]}" "$MILLRACE_URL/api/v1alpha$2"
}
# repo NAME < definition: pushed once; REPO_UUID and COMMIT are what a direct run names.
repo() {
	local dir=$MILLRACE_HOME/repos/$1
	rm -rf "$dir"
	mkdir -p "$dir/.agola"
	cat >"$dir/.agola/config.yml"
	git -C "$dir" init -q -b master
	git -C "$dir" -c user.name=bench -c user.email=bench@localhost add -A
	git -C "$dir" -c user.name=bench -c user.email=bench@localhost commit -q -m bench
	# The command line pushes, makes the first run and waits for it: the image is there then.
	(cd "$dir" && "$MILLRACE_BUILD/bin/millrace" --gateway-url "$MILLRACE_URL" --token "$MILLRACE_TOKEN" directrun start --follow) \
		>"$dir.out" 2>"$dir.err" </dev/null || {
		cat "$dir.out" "$dir.err" >&2
		return 1
	}
	NUMBER=$(sed -n 's/^run \([0-9][0-9]*\) created$/\1/p' "$dir.err" | head -n 1)
}
task_json() {
	local id
	id=$(api GET "/users/$MILLRACE_USER/runs/$NUMBER" | jq -r ".tasks[] | select(.name == \"$1\") | .id")
	api GET "/users/$MILLRACE_USER/runs/$NUMBER/tasks/$id"
}
# step_ms TASK INDEX
step_ms() {
	task_json "$1" | jq -r ".steps[$2] | [.start_time, .end_time] | @tsv" | while read -r a b; do
		awk -v a="$(date -d "$a" +%s.%N)" -v b="$(date -d "$b" +%s.%N)" 'BEGIN { printf "%.1f", (b - a) * 1000 }'
	done
}

# --- rows ---

# As large as a definition may be: 1 MiB, 10 000 tasks, each after the one before it. The processor time of the command line's whole life.
bench_definition() {
	local file i size times=() TIMEFORMAT='%3U %3S'
	file=$(mktemp "$PWD/build/definition.XXXXXX.yml")
	awk 'BEGIN { print "runs:\n- name: r\n  tasks:"
		for (i = 0; i < 10000; i++) printf "  - {name: t%05d, runtime: {containers: [{image: a}]}, steps: [{run: make}]%s}\n", i,
			i ? sprintf(", depends: [t%05d]", i - 1) : "" }' >"$file"
	size=$(stat -c %s "$file")
	awk -v n=$((1048576 - size)) 'BEGIN { printf "#"; while (--n > 0) printf "x" }' >>"$file"
	for ((i = 0; i < ROUNDS * 3; i++)); do
		times+=("$({ time "$MILLRACE_BUILD/bin/millrace" config check "$file" >/dev/null; } 2>&1 | awk '{ printf "%.1f", ($1 + $2) * 1000 }')")
	done
	rm -f "$file"
	row definition ms "$(printf '%s\n' "${times[@]}" | median)" "" - "<= 200"
}
bench_memory() {
	local part pid max kb
	repo memory <<'YAML'
runs:
  - name: memory
    tasks: [{name: task, runtime: {containers: [{image: debian:bookworm}]}, steps: [{run: {name: works, tty: false, command: "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo line $i; done"}}]}]
YAML
	sleep 3 # a pause that an idle daemon has had
	for part in "executor 4" "gateway 8" "runservice 8"; do
		read -r part max <<<"$part"
		pid=$(daemon pid "$part")
		kb=$(awk '/^Private_Dirty/ { s += $2 } END { print s }' "/proc/$pid/smaps_rollup")
		row "idle_memory/$part" MB "$(awk -v k="$kb" 'BEGIN { printf "%.2f", k / 1024 }')" "" - "<= $max"
	done
	# Process 1 cannot be read from inside: from outside while a step runs.
	toolbox_memory
}
toolbox_memory() {
	local container='' pid kb
	repo held <<'YAML' &
runs:
  - name: held
    tasks: [{name: task, runtime: {containers: [{image: debian:bookworm}]}, steps: [{run: {name: waits, tty: false, command: "touch /tmp/began; while [ ! -e /tmp/end ]; do sleep 0.1; done"}}]}]
YAML
	until [ -n "$container" ] && engine_cli exec "$container" test -e /tmp/began 2>/dev/null; do
		container=$(engine_cli ps -q --filter label=millrace.role=main --filter "label=millrace.executor=$MILLRACE_EXECUTOR" | head -n 1)
		sleep 0.1
	done
	pid=$(engine_cli inspect -f '{{.State.Pid}}' "$container")
	kb=$(awk '/^Private_Dirty/ { s += $2 } END { print s }' "/proc/$pid/smaps_rollup")
	engine_cli exec "$container" touch /tmp/end
	wait $!
	row idle_memory/toolbox MB "$(awk -v k="$kb" 'BEGIN { printf "%.2f", k / 1024 }')" "" - "<= 0.5"
}

# The container's clock is the host's: the first step prints when it wrote. What is submitted was pushed before. Nothing else runs
# in that time: no client asks, and the containers of the run before are gone.
bench_submit() {
	local i from dir=$MILLRACE_HOME/repos/submit image body id user
	repo submit <<'YAML'
runs:
  - name: submit
    tasks: [{name: task, runtime: {containers: [{image: debian:bookworm}]}, steps: [{run: {name: first, tty: false, command: "date +%s%N"}}]}]
YAML
	user=$(api GET /user | jq -r .id)
	id=$(git -C "$dir" config --local agola.repouuid)
	git -C "$dir" push -q "http://x:$MILLRACE_TOKEN@127.0.0.1:$MILLRACE_PORT/repos/$user/$id.git" HEAD:refs/heads/bench
	body=$(jq -nc --arg id "$id" --arg path "$user/$id" --arg sha "$(git -C "$dir" rev-parse HEAD)" \
		'{repo_uuid: $id, repo_path: $path, branch: "bench", commit_sha: $sha, message: "bench"}')
	image=$(engine_cli image ls -q millrace/base | head -n 1)
	if wanted submit_cold; then
		submit_row cold "$body" "$image" "<= 1.15"
	fi
	if wanted submit_warm; then
		daemon stop executor
		printf '%s\n' "warm_containers: 2" "warm_free_memory: 0" >>"$MILLRACE_HOME/conf/executor.yml"
		daemon start executor
		submitted "$body" >/dev/null
		submit_row warm "$body" "$image" "<= 0.15"
		daemon stop executor
		sed -i '/^warm_/d' "$MILLRACE_HOME/conf/executor.yml"
		daemon start executor
	fi
}
our_containers() {
	engine_cli ps -aq --filter "label=millrace.executor=$MILLRACE_EXECUTOR" "$@" | wc -l
}
# submitted BODY: ms from the submission's sending to the first byte; returns when all of the run is gone.
submitted() {
	local from at
	from=$("$B/submit" "$MILLRACE_PORT" "$MILLRACE_TOKEN" /api/v1alpha/user/createrun <<<"$1")
	sleep 1
	until NUMBER=$(api GET "/users/$MILLRACE_USER/runs?limit=1" | jq -r '.[0] | select(.phase == "finished") | .number') && [ -n "$NUMBER" ] &&
		[ "$(our_containers --filter label=millrace.role=main)" = 0 ]; do
		sleep 0.1
	done
	at=$(api GET "/users/$MILLRACE_USER/runs/$NUMBER/tasks/$(task_json task | jq -r .id)/logs?step=0" | grep -oE '[0-9]{19}')
	awk -v a="$at" -v b="$from" 'BEGIN { printf "%.3f\n", (a - b) / 1e6 }'
}
# submit_row KIND BODY IMAGE AIM
submit_row() {
	local i ours=$MILLRACE_HOME/ours theirs=$MILLRACE_HOME/theirs
	: >"$ours"
	: >"$theirs"
	for ((i = 0; i < ROUNDS * 5; i++)); do
		"$B/bare" first "${MILLRACE_ENGINE#unix://}" "$3" 1 >>"$theirs"
		until [ "$1" = cold ] || [ "$(curl -sS "http://127.0.0.1:$((MILLRACE_PORT + 6))/metrics" |
			awk '$1 == "millrace_executor_warm_containers" { print $2 }')" -ge 1 ]; do
			sleep 0.1
		done
		sleep 0.3
		submitted "$2" >>"$ours"
	done
	row "submit_$1" ms "$(median <"$ours")" "engine: create, start, exec" "$(median <"$theirs")" "$4"
}

bench_step() {
	local i image first last
	{
		cat <<'YAML'
runs:
  - name: steps
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        steps:
YAML
		for ((i = 0; i < 202; i++)); do
			echo '          - run: {name: s, tty: false, command: "true"}'
		done
	} >"$MILLRACE_HOME/steps.yml"
	image=$(engine_cli image ls -q millrace/base | head -n 1)
	"$B/bare" exec "${MILLRACE_ENGINE#unix://}" "$image" 50 >"$MILLRACE_HOME/execs"
	repo steps <"$MILLRACE_HOME/steps.yml"
	first=$(task_json task | jq -r '.steps[0].end_time')
	last=$(task_json task | jq -r '.steps[200].end_time')
	"$B/bare" exec "${MILLRACE_ENGINE#unix://}" "$image" 50 >>"$MILLRACE_HOME/execs"
	row step ms "$(awk -v a="$(date -d "$first" +%s.%N)" -v b="$(date -d "$last" +%s.%N)" 'BEGIN { printf "%.3f", (b - a) * 1000 / 200 }')" \
		"engine: exec of true" "$(median <"$MILLRACE_HOME/execs")" "<= 0.05"
}

# Ten thousand files, 200 MB, the same bytes in the container and here.
# shellcheck disable=SC2016 # the shell that makes the tree expands it
TREE='i=0; while [ $i -lt 100 ]; do mkdir -p t/$i; j=0; while [ $j -lt 100 ]; do head -c 20000 /dev/urandom >t/$i/$j; j=$((j + 1)); done; i=$((i + 1)); done'
bench_workspace() {
	local tree=$MILLRACE_HOME/tree saves=() restores=() tars=() untars=() i t
	mkdir -p "$tree"
	(cd "$tree" && sh -c "$TREE")
	for ((i = 0; i < ROUNDS; i++)); do
		sync
		t=$(now_ns)
		tar -C "$tree" -cf - . | zstd -1 -q >"$tree.zst"
		tars+=("$((($(now_ns) - t) / 1000000))")
		t=$(now_ns)
		mkdir "$tree.out"
		zstd -dqc "$tree.zst" | tar -C "$tree.out" -xf -
		untars+=("$((($(now_ns) - t) / 1000000))")
		rm -rf "$tree.out"
		repo workspace <<YAML
runs:
  - name: workspace
    tasks:
      - name: save
        runtime: {containers: [{image: debian:bookworm}]}
        working_dir: /w
        steps:
          - run: {name: tree, tty: false, command: '$TREE'}
          - save_to_workspace: {contents: [{source_dir: ., paths: ["**"]}]}
      - name: restore
        runtime: {containers: [{image: debian:bookworm}]}
        working_dir: /w
        steps: [{restore_workspace: {dest_dir: .}}]
        depends: [save]
YAML
		saves+=("$(step_ms save 1)")
		restores+=("$(step_ms restore 0)")
	done
	rm -rf "$tree" "$tree.zst"
	speed() {
		awk -v ms="$1" 'BEGIN { printf "%.1f", 200 / (ms / 1000) }'
	}
	row save_workspace MB/s "$(speed "$(printf '%s\n' "${saves[@]}" | median)")" "tar | zstd -1" \
		"$(speed "$(printf '%s\n' "${tars[@]}" | median)")" ">= 0.8"
	row restore_workspace MB/s "$(speed "$(printf '%s\n' "${restores[@]}" | median)")" "zstd -d | tar x" \
		"$(speed "$(printf '%s\n' "${untars[@]}" | median)")" ">= 0.8"
}

bench_log() {
	local id ms before after pid
	pid=$(daemon pid runservice)
	if wanted log_throughput; then
		before=$(awk '/^Rss/ { print $2 }' "/proc/$pid/smaps_rollup")
		repo throughput <<'YAML'
runs:
  - name: throughput
    tasks:
      - name: task
        runtime: {containers: [{image: debian:bookworm}]}
        steps: [{run: {name: writes, tty: false, command: "perl -e '$l = q(x) x 99 . qq(\\n); print $l for 1 .. 3_000_000'"}}]
YAML
		ms=$(step_ms task 0)
		after=$(awk '/^Rss/ { print $2 }' "/proc/$pid/smaps_rollup")
		row log_throughput MB/s "$(awk -v ms="$ms" 'BEGIN { printf "%.1f", 300 / (ms / 1000) }')" "" - ">= 50"
		row log_memory MB "$(awk -v a="$before" -v b="$after" 'BEGIN { printf "%.1f", (b - a) / 1024 }')" "" - "<= 64"
	fi
	wanted log_latency || return 0
	repo latency <<'YAML' &
runs:
  - name: latency
    tasks:
      - name: task
        runtime: {containers: [{image: debian:bookworm}]}
        steps:
          - run:
              name: writes
              tty: false
              command: |
                exec perl -MTime::HiRes=clock_gettime,clock_nanosleep,CLOCK_REALTIME -e '$| = 0; for (1 .. 5000) { for (1 .. 10) { printf "%.0f %s\n", clock_gettime(CLOCK_REALTIME) * 1e9, "x" x 60 } STDOUT->flush; select undef, undef, undef, 0.001 }'
YAML
	until NUMBER=$(sed -n 's/^run \([0-9][0-9]*\) created$/\1/p' "$MILLRACE_HOME/repos/latency.err" 2>/dev/null) && [ -n "$NUMBER" ]; do
		sleep 0.05
	done
	until id=$(api GET "/users/$MILLRACE_USER/runs/$NUMBER" | jq -r '.tasks[].id' 2>/dev/null) && [ -n "$id" ]; do
		sleep 0.05
	done
	until [ "$(api GET "/users/$MILLRACE_USER/runs/$NUMBER/tasks/$id" | jq -r '.steps[0].phase')" = running ]; do
		sleep 0.02
	done
	read -r p50 p99 n < <(curl -sSN -H "Authorization: token $MILLRACE_TOKEN" \
		"$MILLRACE_URL/api/v1alpha/users/$MILLRACE_USER/runs/$NUMBER/tasks/$id/logs?step=0&follow" | "$B/lag")
	wait
	row log_latency ms "$p50" "" - "<= 20"
	echo "    log_latency: p99 $p99 ms over $n lines"
}

# --- the runservice alone, with executors that are played ---

claims() {
	as_bench "$PG_BIN/pgbench" -n -M prepared -h "$PG_SOCKET" -c "$1" -j "$1" -T 3 -f - millrace <"$MILLRACE_HOME/claim.sql" 2>/dev/null |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}
as_bench() {
	(cd / && runuser -u postgres -- "$@")
}
# Executors of the drive before are gone, but their polls are held for a while yet: a runservice that knows none of them.
drive_tasks() {
	daemon stop runservice >&2
	daemon start runservice >&2
	"$B/drive" tasks "tcp://127.0.0.1:$((MILLRACE_PORT + 5))" "$MILLRACE_HOME/secrets/executors" "$MILLRACE_HOME/secrets/rpc-key" "$@"
}
bench_runservice() {
	local i one=() many=() claim=() after=() p50=() p99=() speed a b
	PG_BIN=$(dirname "$(find /usr/lib/postgresql -path '*/bin/pgbench' | tail -n 1)")
	PG_SOCKET=$(sql 'show unix_socket_directories')
	sql "create table if not exists claims (id int primary key, owner text); insert into claims select g from generate_series(1, 100000) g on conflict do nothing" >/dev/null
	# One row, found by its key, becomes somebody's: as durable as the cluster makes it.
	# shellcheck disable=SC2016
	printf '%s\n' '\set id random(1, 100000)' "update claims set owner = 'somebody' where id = :id;" >"$MILLRACE_HOME/claim.sql"
	daemon stop executor
	keys
	for ((i = 0; i < ROUNDS; i++)); do
		claim+=("$(claims 1)")
		read -r speed a b < <(drive_tasks 1 400 1)
		one+=("$speed")
		p50+=("$a")
		p99+=("$b")
		read -r speed _ _ < <(drive_tasks 16 6000 256)
		many+=("$speed")
	done
	local base
	base=$(printf '%s\n' "${claim[@]}" | median)
	row dispatch/p50 ms "$(printf '%s\n' "${p50[@]}" | median)" "" - "<= 10"
	row dispatch/p99 ms "$(printf '%s\n' "${p99[@]}" | median)" "" - "<= 50"
	row tasks /s "$(printf '%s\n' "${one[@]}" | median)" "single-row durable claims, 1 client" "$base" ">= 0.25"
	row tasks_batched /s "$(printf '%s\n' "${many[@]}" | median)" "single-row durable claims, 1 client" "$base" ">= 1.5"
	if wanted history; then
		sql "insert into runservice.history (id, sequence, owner, number, grp, phase, result, state)
			select gen_random_uuid(), nextval('runservice.run_sequence'), '/project/bench' || g % 16, 1000000 + g, h.grp, h.phase, h.result, h.state
			from (select * from runservice.history limit 1) h, generate_series(1, 1000000) g; vacuum analyze runservice.history" >/dev/null 2>&1 ||
			{
				sql "insert into runservice.history (id, sequence, owner, number, grp, phase, result, state)
			select gen_random_uuid(), nextval('runservice.run_sequence'), '/project/bench' || g % 16, 1000000 + g, h.grp, h.phase, h.result, h.state
			from (select * from runservice.history limit 1) h, generate_series(1, 1000000) g" >/dev/null
				sql "vacuum analyze runservice.history" >/dev/null
			}
		sql checkpoint >/dev/null
		for ((i = 0; i < ROUNDS; i++)); do
			read -r speed _ _ < <(drive_tasks 16 6000 256)
			after+=("$speed")
		done
		row history /s "$(printf '%s\n' "${after[@]}" | median)" "tasks_batched with no history" "$(printf '%s\n' "${many[@]}" | median)" ">= 0.9"
	fi
	daemon start executor
}
keys() {
	local n dir=$MILLRACE_HOME/secrets/executors
	for ((n = 1; n <= 1000; n++)); do
		[ -s "$dir/bench-$n.key" ] || (umask 077 && printf '%064x' "$n" >"$dir/bench-$n.key")
	done
	chown --reference="$MILLRACE_HOME/secrets/rpc-key" "$dir"/bench-*.key
}
cpu_ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}
bench_fleet() {
	local pid a b back
	daemon stop executor
	keys
	"$B/drive" fleet "tcp://127.0.0.1:$((MILLRACE_PORT + 5))" "$MILLRACE_HOME/secrets/executors" 1000 >"$MILLRACE_HOME/fleet" &
	local fleet=$!
	until [ "$(grep -c all "$MILLRACE_HOME/fleet")" -ge 1 ]; do sleep 0.1; done
	pid=$(daemon pid runservice)
	a=$(cpu_ticks "$pid")
	sleep 35 # more than one round of polls
	b=$(cpu_ticks "$pid")
	row fleet/cpu % "$(awk -v t=$((b - a)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", t / hz / 35 * 100 }')" "" - "<= 5"
	daemon kill runservice
	daemon start runservice
	until [ "$(grep -c all "$MILLRACE_HOME/fleet")" -ge 2 ]; do sleep 0.1; done
	back=$(awk '$1 == "all" { ms = $2 } END { print ms }' "$MILLRACE_HOME/fleet")
	row fleet/back s "$(awk -v ms="$back" 'BEGIN { printf "%.2f", ms / 1000 }')" "" - "<= 10"
	kill "$fleet"
	wait "$fleet" 2>/dev/null || true
	daemon start executor
}

# --- the REST API ---

# The barest web server, with answers of BYTES bytes, on the port after the stack's.
bare_web() {
	"$B/web" serve "$((MILLRACE_PORT + 9))" "$1" &
	WEB=$!
	until curl -sS -o /dev/null "http://127.0.0.1:$((MILLRACE_PORT + 9))/" 2>/dev/null; do sleep 0.02; done
}
bare_web_end() {
	kill "$WEB"
	wait "$WEB" 2>/dev/null || true
}
# rss DAEMON: kB
rss() {
	awk '/^Rss/ { print $2 }' "/proc/$(daemon pid "$1")/smaps_rollup"
}
CLIENTS=16
FOLLOWERS=500
bench_list() {
	local id i speed bytes list=() web=() select=() path before
	id=$(cat /proc/sys/kernel/random/uuid)
	PG_BIN=$(dirname "$(find /usr/lib/postgresql -path '*/bin/pgbench' | tail -n 1)")
	PG_SOCKET=$(sql "show unix_socket_directories")
	repo listed <<'YAML'
runs:
  - name: listed
    tasks: [{name: task, runtime: {containers: [{image: busybox}]}, steps: [{run: {name: first, tty: false, command: "true"}}]}]
YAML
	sql "insert into gateway.projects (id, name, parent_id, visibility, repository_id, repository_path, clone_url, html_url, default_branch, webhook_secret,
			skip_ssh_host_key_check, pass_vars_to_forked_pr, members_can_perform_run_actions)
		select '$id', 'bench', g.id, 'private', '1', 'bench/bench', '', '', 'main', '', false, false, false
		from gateway.project_groups g join gateway.users u on u.id = g.user_id where u.name = '$MILLRACE_USER'" >/dev/null
	sql "insert into runservice.history (id, sequence, owner, number, grp, phase, result, state)
		select gen_random_uuid(), nextval('runservice.run_sequence'), '/project/$id', g, '/project/$id/branch/main', h.phase, h.result, h.state
		from (select * from runservice.history order by sequence desc limit 1) h, generate_series(1, 100000) g" >/dev/null
	sql "vacuum analyze runservice.history" >/dev/null
	path=$MILLRACE_URL/api/v1alpha/projects/$id/runs
	printf '%s\n' "select id, state from runservice.history where owner = '/project/$id' order by number desc limit 31;" >"$MILLRACE_HOME/list.sql"
	read -r speed bytes < <("$B/web" get "$path" "$MILLRACE_TOKEN" "$CLIENTS" 1)
	before=$(rss gateway)
	for ((i = 0; i < ROUNDS; i++)); do
		bare_web "$bytes"
		read -r speed _ < <("$B/web" get "http://127.0.0.1:$((MILLRACE_PORT + 9))/" - "$CLIENTS" 3)
		web+=("$speed")
		bare_web_end
		select+=("$(as_bench "$PG_BIN/pgbench" -n -M prepared -h "$PG_SOCKET" -c "$CLIENTS" -j 1 -T 3 -f - millrace <"$MILLRACE_HOME/list.sql" 2>/dev/null |
			sed -n 's/^tps = \([0-9.]*\).*/\1/p')")
		read -r speed _ < <("$B/web" get "$path" "$MILLRACE_TOKEN" "$CLIENTS" 3)
		list+=("$speed")
	done
	slower api_list "$(printf '%s\n' "${list[@]}" | median)" "$(printf '%s\n' "${web[@]}" | median)" "$(printf '%s\n' "${select[@]}" | median)"
	row api_list_memory MB "$(awk -v a="$before" -v b="$(rss gateway)" 'BEGIN { printf "%.1f", (b - a) / 1024 }')" "" - "<= 16"
}
# slower NAME VALUE WEB SELECT: against the slower of the two.
slower() {
	if awk -v a="$3" -v b="$4" 'BEGIN { exit !(a < b) }'; then
		row "$1" /s "$2" "evhttp's trivial handler" "$3" ">= 0.25"
	else
		row "$1" /s "$2" "libpq: select of the same rows" "$4" ">= 0.25"
	fi
	echo "    $1: evhttp $3 /s, libpq $4 /s"
}

bench_follow() {
	local id container='' speed size web before reads
	repo followed <<'YAML' &
runs:
  - name: followed
    tasks:
      - name: task
        runtime: {containers: [{image: debian:bookworm}]}
        steps:
          - run:
              name: writes
              tty: false
              command: |
                touch /tmp/began
                while [ ! -e /tmp/go ]; do sleep 0.1; done
                exec perl -e '$| = 1; for (1 .. 2000) { print "x" x 999, "\n" }'
YAML
	until [ -n "$container" ] && engine_cli exec "$container" test -e /tmp/began 2>/dev/null; do
		container=$(engine_cli ps -q --filter label=millrace.role=main --filter "label=millrace.executor=$MILLRACE_EXECUTOR" | head -n 1)
		sleep 0.1
	done
	NUMBER=$(api GET "/users/$MILLRACE_USER/runs?limit=1" | jq -r '.[0].number')
	id=$(api GET "/users/$MILLRACE_USER/runs/$NUMBER" | jq -r '.tasks[].id')
	before=$(rss gateway)
	reads=$(curl -sS "$MILLRACE_URL/metrics" | awk '$1 == "millrace_gateway_log_reads_total" { print $2 }')
	"$B/web" follow "$MILLRACE_URL/api/v1alpha/users/$MILLRACE_USER/runs/$NUMBER/tasks/$id/logs?step=0&follow" "$MILLRACE_TOKEN" "$FOLLOWERS" >"$MILLRACE_HOME/follow" &
	local web_pid=$!
	until grep -q ready "$MILLRACE_HOME/follow"; do sleep 0.05; done
	engine_cli exec "$container" touch /tmp/go
	wait "$web_pid"
	read -r speed size < <(tail -n 1 "$MILLRACE_HOME/follow")
	reads=$(($(curl -sS "$MILLRACE_URL/metrics" | awk '$1 == "millrace_gateway_log_reads_total" { print $2 }') - reads))
	bare_web "$size"
	read -r web _ < <("$B/web" get "http://127.0.0.1:$((MILLRACE_PORT + 9))/" - "$FOLLOWERS" 3)
	bare_web_end
	row api_follow /s "$speed" "evhttp's trivial handler" "$web" ">= 0.25"
	row api_follow_memory MB "$(awk -v a="$before" -v b="$(rss gateway)" 'BEGIN { printf "%.1f", (b - a) / 1024 }')" "" - "<= 64"
	echo "    api_follow: $FOLLOWERS followers, pieces of $size bytes, $reads reads for all"
	wait
}

main() {
	local head
	head=$(printf '%-20s %12s %-8s %-34s %12s %9s   %-8s %s' row value unit baseline of ratio aim reached)
	if [ "${T:-}" = definition ]; then # it needs no stack
		echo "$head"
		bench_definition
		write_json
		return
	fi
	stack_down
	deploy/stack/up.sh >"$PWD/build/bench-up.log" 2>&1 || {
		tail -n 20 "$PWD/build/bench-up.log"
		exit 1
	}
	set -a
	# shellcheck source=/dev/null
	. "$MILLRACE_HOME/env"
	set +a
	echo "$head"
	if any_wanted definition; then bench_definition; fi
	if any_wanted idle_memory; then bench_memory; fi
	if any_wanted dispatch tasks tasks_batched history; then bench_runservice; fi
	if any_wanted fleet; then bench_fleet; fi
	if any_wanted submit_cold submit_warm; then bench_submit; fi
	if any_wanted step; then bench_step; fi
	if any_wanted save_workspace restore_workspace; then bench_workspace; fi
	if any_wanted log_latency log_throughput; then bench_log; fi
	if any_wanted api_list api_list_memory; then bench_list; fi
	if any_wanted api_follow api_follow_memory; then bench_follow; fi
	write_json
}
main
