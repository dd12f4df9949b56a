// One line about what `npm test` does not run.
console.log(
  'left out: real Slurm and Redis (npm run test:cluster; the tests use a fake sbatch), the page in Chromium (npm run test:page)',
)
