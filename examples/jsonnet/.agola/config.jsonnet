// One run per commit: a task for each image, and one behind them that releases what a tag names.
local tasks = import 'tasks.libsonnet';
local images = ['busybox:1.35', 'busybox:latest'];

function(ctx) {
  local what = {
    branch: ctx.branch,
    tag: ctx.tag,
    pull_request: 'pull request ' + ctx.pull_request_id,
  }[ctx.ref_type],
  local tests = [tasks.test(image) for image in images],

  runs: [
    {
      name: 'test ' + what,
      tasks: tests + (
        if ctx.ref_type == 'tag'
        then [tasks.release(ctx.tag, after=[t.name for t in tests])]
        else []
      ),
    },
  ],
}
