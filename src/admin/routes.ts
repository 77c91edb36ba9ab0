// The table of all routes.

import { createCallRoutes } from "./call-routes.ts";
import type { ControlParts } from "./control-parts.ts";
import { createDocumentRoutes } from "./document-routes.ts";
import { createEventRoutes } from "./event-routes.ts";
import { createGroupRoutes } from "./group-routes.ts";
import { createKeyRoutes } from "./key-routes.ts";
import { createMeRoutes } from "./me-routes.ts";
import { createOperationRoutes } from "./operation-routes.ts";
import type { Route } from "./route.ts";
import { createSessionRoutes } from "./session-routes.ts";
import { createUsageRoutes } from "./usage-routes.ts";
import { createUserRoutes } from "./user-routes.ts";

export function createRoutes(parts: ControlParts): readonly Route[] {
  const routes = [
    ...createSessionRoutes(parts),
    ...createMeRoutes(parts),
    ...createUserRoutes(parts),
    ...createGroupRoutes(parts),
    ...createKeyRoutes(parts),
    ...createUsageRoutes(parts),
    ...createCallRoutes(parts),
    ...createOperationRoutes(parts),
    ...createEventRoutes(parts),
  ];
  return [...routes, ...createDocumentRoutes(routes, parts.version)];
}
