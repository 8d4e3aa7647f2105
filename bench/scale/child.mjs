/** Loaded before the command: tells the bench the peak memory of the process as it ends. */
process.on('exit', () => {
  process.send?.(process.resourceUsage().maxRSS);
});
process.channel?.unref();
