#!/usr/bin/env bash
# docker-compose.yml with deploy/compose/s3.yml: a run's logs and the workspace it hands on go through a bucket, nothing into the
# runservice's volume.
. "$(dirname "$0")/../lib.sh"
if [ -n "${SAN:-}" ]; then
	tap_skip "docker-compose" "its images hold no sanitizer's library"
	tap_done
fi
. "$ROOT/tests/lib/compose.sh"
leftovers_before
compose_new compose-s3 1 deploy/compose/s3.yml
S3=$ROOT/tests/lib/s3.sh
at_end "$S3" stop "$T/server"
if ! "$S3" start "$T/server" "$ADDRESS" >"$T/s3.log" 2>&1 </dev/null; then
	tap_fail "an S3 server starts" "$(cat "$T/s3.log")"
	tap_done
fi
# shellcheck source=/dev/null
. "$T/server/env"

# As docs/operations.md says it.
mkdir -p "$HOME_DIR/secrets"
printf '%s\n' "$MILLRACE_TEST_S3_SECRET_KEY" >"$HOME_DIR/secrets/s3-secret-key"
cat >"$HOME_DIR/extra/runservice.yml" <<YAML
object_store: s3
s3_endpoint: $MILLRACE_TEST_S3
s3_bucket: $MILLRACE_TEST_S3_BUCKET
s3_access_key: $MILLRACE_TEST_S3_ACCESS_KEY
s3_secret_key_file: /run/secrets/s3-secret-key
YAML
compose_up
compose_user
directrun s3 <<'YAML'
runs:
  - name: s3
    tasks:
      - name: makes
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: makes, tty: false, command: "echo handed on >made; echo it is made"}
          - save_to_workspace: {contents: [{source_dir: ., paths: [made]}]}
      - name: reads
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps: [{restore_workspace: {dest_dir: .}}, {run: {name: reads, tty: false, command: cat made}}]
        depends: [makes]
YAML
tap_is "a run with a workspace succeeds" "$RUN_STATUS$([ "$RUN_STATUS" = 0 ] || { tail -n 20 "$T"/s3.err "$T"/s3.out; compose logs --tail 20 runservice executor; })" 0
tap_is "what was saved is what was read" "$(step_log "$RUN" reads 1)" "handed on"
tap_is "finished logs are read from the bucket" "$(step_log "$RUN" makes 0)" "it is made"
"$S3" keys "$T/server" >"$T/keys"
tap_ok "the workspace is in the bucket" grep -q "^archives/.*/$(task_id "$RUN" makes)/" "$T/keys"
tap_ok "logs are, too" grep -q "^logs/$(task_id "$RUN" makes)/" "$T/keys"
tap_is "the runservice's volume holds no object" \
	"$(docker_cli exec "$(services runservice)" find /var/lib/millrace/runservice -path '*objects*' -type f)" ""
read_as() {
	docker_cli exec -u "$1" "$(services runservice)" cat /run/secrets/s3-secret-key 2>/dev/null
}
tap_is "its user alone reads the key" "$(read_as 10001) $(read_as 12345)" "$MILLRACE_TEST_S3_SECRET_KEY "

tap_ok "down" in_compose "$ROOT/deploy/compose/down.sh" --purge
tap_is "nothing is left of it" "$(compose_left)" ""
leftovers_check "the other stack's executor was left alone"
tap_done
