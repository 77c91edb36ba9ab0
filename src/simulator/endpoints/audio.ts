// The simulated GLM hears and speaks: transcriptions as JSON and as a stream, speech as bytes in several pieces, voices.
// The same text has the same bytes.

import { formatBeijing } from "../glm-id.ts";
import { sampleRate, toMediaUrl, toWavHead } from "../media.ts";
import { type Plan, toBinaryPlan, toStreamPlan } from "../plan.ts";
import { createRandom, hashText } from "../random.ts";
import {
  answer,
  answerWith,
  type Call,
  createId,
  define,
  notFound,
  type Reply,
  readModel,
  readString,
  refuse,
  toSeconds,
  type World,
} from "./endpoint.ts";
import { talk } from "./talk.ts";

const pieceBytes = 1_024;
const piecesDefault = 4;

export const audioEndpoints = [
  define("POST", "/audio/transcriptions", transcribe, "form"),
  define("POST", "/audio/speech", ({ fields }, world) => {
    const model = readModel(fields);
    return model === null ? refuse("1213", "model") : speak(fields, model, world);
  }),
  define(
    "POST",
    "/audio/customization",
    ({ fields }, world) => speak(fields, readModel(fields) ?? "glm-tts-clone", world),
    "form",
  ),
  define("POST", "/voice/clone", ({ fields, account }, { store, ids, clock, origin }) => {
    const fileId = readString(fields, "file_id");
    if (fileId === null) return refuse("1213", "file_id");
    if (!store.find(account, "file", fileId)) return notFound("file");
    const voice = `voice_clone_${ids.hex(16)}`;
    store.put(account, "voice", voice, {
      voice,
      voice_name: readString(fields, "voice_name") ?? voice,
      voice_type: "PRIVATE",
      download_url: toMediaUrl(origin, ids.hex(16), "wav"),
      create_time: formatBeijing(clock.wallNow()),
    });
    return answer({ voice, file_id: fileId, file_purpose: "voice-clone-output" }, readModel(fields));
  }),
  define("POST", "/voice/delete", ({ fields, account }, { store, clock }) => {
    const voice = readString(fields, "voice");
    if (voice === null) return refuse("1213", "voice");
    if (!store.remove(account, "voice", voice)) return notFound("voice");
    return answer({ voice, delete_time: formatBeijing(clock.wallNow()) });
  }),
  define("GET", "/voice/list", ({ account }, { store }) =>
    answer({ voice_list: store.list(account, "voice").map(({ value }) => value) }),
  ),
];

function transcribe({ fields, file }: Call, world: World): Reply {
  const model = readModel(fields);
  if (model === null) return refuse("1213", "model");
  const heard = file
    ? `${file.byteCount} ${hashText(String(file.chunks[0] ?? ""))}`
    : readString(fields, "file_base64");
  if (heard === null) return refuse("1213", "file", model);
  const { said, text, pace } = talk(`${readString(fields, "prompt") ?? ""} ${heard}`, model, world);
  const head = { id: said.id, created: said.createdSeconds, model };
  if (fields.stream === true || fields.stream === "true") {
    const deltas = said.content.map((delta) => ({ ...head, type: "transcript.text.delta", delta }));
    const plan = toStreamPlan([...deltas, { ...head, type: "transcript.text.done", text }]);
    return answerWith(plan, model, pace);
  }
  return { ...answer({ ...head, request_id: readString(fields, "request_id") ?? said.id, text }, model), pace };
}

function speak(fields: Call["fields"], model: string, world: World): Reply {
  const input = readString(fields, "input");
  if (input === null) return refuse("1213", "input", model);
  const { said, pace } = talk(input, model, world);
  const pieceCount = /\[frames=\d+\]/.test(input) ? said.content.length : piecesDefault;
  const pieces = makeNoise(input, pieceCount, world.seed);
  if (fields.stream === true) return answerWith(toSpeechStream(pieces, model, world), model, pace);
  const format = readString(fields, "response_format") ?? "wav";
  const sound = format === "wav" ? [toWavHead(pieceCount * pieceBytes), ...pieces] : pieces;
  return { ...answerWith(toBinaryPlan(sound, `audio/${format}`), model, pace), isStream: false };
}

function makeNoise(input: string, pieceCount: number, seed: number): Buffer[] {
  const random = createRandom(seed ^ hashText(input));
  return Array.from({ length: pieceCount }, () => Buffer.from(random.hex(pieceBytes * 2), "hex"));
}

function toSpeechStream(pieces: readonly Buffer[], model: string, world: World): Plan {
  const head = { id: createId(world), created: toSeconds(world), model };
  const frames = pieces.map((piece, index) => {
    const delta = { role: "assistant", content: piece.toString("base64"), return_sample_rate: sampleRate };
    const isLast = index === pieces.length - 1;
    return { ...head, choices: [{ index: 0, delta, ...(isLast && { finish_reason: "stop" }) }] };
  });
  return toStreamPlan(frames);
}
