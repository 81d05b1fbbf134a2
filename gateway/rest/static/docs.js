// Draws /openapi.json with Swagger UI. Everything comes from this gateway; nothing is asked of any other host.
"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#document",
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  docExpansion: "list",
});
