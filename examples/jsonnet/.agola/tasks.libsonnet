local task(name, image) = {
  name: name,
  runtime: { containers: [{ image: image }] },
};

{
  test(image):: task('test on ' + image, image) {
    steps: [
      { clone: { depth: 1 } },
      { run: { name: 'run the tests', command: importstr 'test.sh' } },
    ],
  },

  release(version, after):: task('release', 'busybox:latest') {
    environment: { VERSION: std.stripChars(version, 'v') },
    steps: [{ run: 'echo "releasing $VERSION"' }],
    depends: after,
  },
}
