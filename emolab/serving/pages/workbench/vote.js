export async function show(main, app) { return () => {}; }
