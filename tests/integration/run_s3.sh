#!/usr/bin/env bash
# Objects on S3: the stack's runservice with a bucket of a throw-away server, a run with logs and a workspace of several parts, and what
# is there afterwards.
. "$(dirname "$0")/../lib.sh"
S3=$ROOT/tests/lib/s3.sh
at_end "$S3" stop "$T/server"
if ! "$S3" start "$T/server" >"$T/s3.log" 2>&1 </dev/null; then
	tap_fail "an S3 server starts" "$(cat "$T/s3.log")"
	tap_done
fi
# shellcheck source=/dev/null
. "$T/server/env"
secret=$T/secret
(umask 077 && printf '%s\n' "$MILLRACE_TEST_S3_SECRET_KEY" >"$secret")
chown --reference="$MILLRACE_HOME/conf/runservice.yml" "$secret"
chmod 711 "$T"
daemon_config runservice "object_store: s3" "s3_endpoint: $MILLRACE_TEST_S3" "s3_bucket: $MILLRACE_TEST_S3_BUCKET" \
	"s3_access_key: $MILLRACE_TEST_S3_ACCESS_KEY" "s3_secret_key_file: $secret"

directrun s3 <<'YAML'
runs:
  - name: s3
    tasks:
      - name: makes
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: {name: makes, tty: false, command: "head -c 20000000 /dev/urandom >large && sha256sum large >sums && cat sums"}
          - save_to_workspace: {contents: [{source_dir: ., paths: ["**"]}]}
      - name: reads
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - restore_workspace: {dest_dir: .}
          - run: {name: reads, tty: false, command: "sha256sum -c sums"}
        depends: [makes]
YAML
tap_is "a run with a workspace succeeds" "$RUN_STATUS$([ "$RUN_STATUS" = 0 ] || tail -n 20 "$T"/s3.err "$T"/s3.out)" 0
tap_is "what was stored is what was read" "$(step_log "$RUN" reads 1)" "large: OK"
tap_like "finished logs are read from the bucket" "$(step_log "$RUN" makes 0)" '^[0-9a-f]{64}  large$'
"$S3" keys "$T/server" >"$T/keys"
tap_is "the workspace has three parts" "$(grep -c "^archives/.*/$(task_id "$RUN" makes)/" "$T/keys")" 3
tap_ok "logs are in the bucket" grep -q "^logs/$(task_id "$RUN" makes)/" "$T/keys"
part=$(grep -m 1 ^archives/ "$T/keys")
tap_is "nobody reads a part without a signature" \
	"$(curl -sS -o /dev/null -w '%{http_code}' "$MILLRACE_TEST_S3/$MILLRACE_TEST_S3_BUCKET/$part")" 403
tap_is "the runservice serves no objects" \
	"$(curl -sS -o /dev/null -w '%{http_code}' "$(daemon_url runservice)/objects/$part")" 404
tap_done
