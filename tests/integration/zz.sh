. "$(dirname "$0")/../lib.sh"
directrun_start eng <<'YAML'
runs:
  - name: fault
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run:
              name: numbers
              tty: false
              command: |
                i=0
                while [ $i -lt 1000 ]; do i=$((i + 1)); echo "line $i"; sleep 0.02; done
YAML
past() { [ "$(step_log "$RUN" task 0 | grep -c '^line')" -gt "$1" ]; }
wait_for 20 past 100
date +%T.%N; kill -9 $(cat /run/millrace-engine/docker.pid); date +%T.%N
ps -ef | grep -c containerd-shim
sleep 1

bash -c "\. $ROOT/deploy/stack/lib.sh; . $ROOT/deploy/stack/engine.sh; stack_paths; engine_start_own"
date +%T.%N
wait_for 60 run_finished $RUN
date +%T.%N
run_field $RUN '"\(.phase) \(.result)"'; step_log $RUN task 0 | wc -l
