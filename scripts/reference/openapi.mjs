/** docs/reference/openapi.json: what the admin API answers at /openapi.json, without starting it. */
export const renderOpenApi = async (createAdminApp, version) => {
  // Only the document is asked for; nothing of what endpoints would call is there.
  const app = createAdminApp({ guard: { allowedHosts: [], allowedOrigins: [] }, version, lifecycle: {}, inspect: {}, store: {} });
  const response = await app.request('http://127.0.0.1/openapi.json', { headers: { host: '127.0.0.1' } });
  return formatOpenApi(await response.text());
};

export const formatOpenApi = (text) => `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
