// The list of the models that the simulator has.

import { models } from "../models.ts";
import { answer, define } from "./endpoint.ts";

export const modelEndpoints = [
  define("GET", "/models", (_, { modelNames }) => {
    const names = modelNames ?? [...models.keys()];
    const data = names.map((id) => ({ id, object: "model", created: 1_700_000_000, owned_by: "z-ai" }));
    return answer({ object: "list", data });
  }),
];
