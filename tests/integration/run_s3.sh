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

# s3 METHOD PATH: one signed request.
s3() {
	curl -sS -m 20 --aws-sigv4 aws:amz:us-east-1:s3 --user "$MILLRACE_TEST_S3_ACCESS_KEY:$MILLRACE_TEST_S3_SECRET_KEY" \
		-H "x-amz-content-sha256: UNSIGNED-PAYLOAD" -X "$1" "$MILLRACE_TEST_S3/$MILLRACE_TEST_S3_BUCKET$2"
}
keys() {
	s3 GET '?max-keys=1000' | grep -oE '<Key>[^<]*' | cut -c6-
}

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
keys >"$T/keys"
tap_is "the workspace has three parts" "$(grep -c "^archives/.*/$(task_id "$RUN" makes)/" "$T/keys")" 3
tap_ok "logs are in the bucket" grep -q "^logs/$(task_id "$RUN" makes)/" "$T/keys"
part=$(grep -m 1 ^archives/ "$T/keys")
tap_is "nobody reads a part without a signature" \
	"$(curl -sS -o /dev/null -w '%{http_code}' "$MILLRACE_TEST_S3/$MILLRACE_TEST_S3_BUCKET/$part")" 403
tap_is "the runservice serves no objects" \
	"$(curl -sS -o /dev/null -w '%{http_code}' "$(daemon_url runservice)/objects/$part")" 404

# The optional part of docker-compose.yml.
(
	for name in STATE SOURCE ENGINE_SOCKET VERSION BASE_SERVER BASE_POSTGRES; do echo "MILLRACE_$name=/x"; done
	for name in PORT PORT_OBJECTS PORT_RPC; do echo "MILLRACE_$name=1000"; done
	printf "MILLRACE_LISTEN=127.0.0.1\nMILLRACE_BIN=%s\n" "$T"
) >"$T/compose.env"
in_compose() {
	(cd "$ROOT" && env -i "PATH=$PATH" "HOME=$T" docker-compose --env-file "$T/compose.env" "$@" config)
}
in_compose -f docker-compose.yml -f deploy/compose/s3.yml >"$T/compose.yml" 2>&1 || cat "$T/compose.yml"
tap_ok "docker-compose reads deploy/compose/s3.yml" grep -q 'file: /x/secrets/s3-secret-key' "$T/compose.yml"
tap_is "and gives the secret to the runservice beside its others" \
	"$(sed -n '/^  runservice:/,/^  [a-z]*:$/p' "$T/compose.yml" | grep -c 'source: \(s3-secret-key\|master-key\)')" 2
tap_done
