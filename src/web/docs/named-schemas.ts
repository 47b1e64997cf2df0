import { createJsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import * as analytics from '../../protocol/analytics.ts';
import * as audit from '../../protocol/audit.ts';
import * as changes from '../../protocol/changes.ts';
import * as detail from '../../protocol/detail.ts';
import { EventStream } from '../../protocol/event-stream.ts';
import * as exported from '../../protocol/export.ts';
import * as http from '../../protocol/http.ts';
import { withoutTimePatterns } from '../../protocol/json-schema.ts';
import * as leases from '../../protocol/leases.ts';
import * as push from '../../protocol/push.ts';
import * as reach from '../../protocol/reach.ts';
import * as rooms from '../../protocol/rooms.ts';
import * as social from '../../protocol/social.ts';
import * as words from '../../protocol/vocabulary.ts';

/** What clients send. */
const REQUESTS = {
  SetStatusRequest: words.SetStatusRequest,
  QueryStatusesRequest: http.StatusesRequest,
  LogoutRequest: http.LogoutBody,
  PutLeaseRequest: leases.LeaseBody,
  RenewLeasesRequest: leases.RenewBody,
  PutDetailRequest: detail.PutDetailBody,
  ReachRequest: reach.ReachRequest,
  UpdateProfileRequest: social.ProfileBody,
  SetFriendAlertRequest: social.AlertBody,
  UpdateSettingsRequest: social.SettingsBody,
  JoinRoomRequest: rooms.JoinRoomRequest,
  CountRoomsRequest: rooms.CountRoomsRequest,
  PushSubscription: push.PushSubscriptionBody,
  PushEndpoint: push.PushEndpointBody,
};

/** What they get, and the words that both are made of. */
const ANSWERS = {
  Status: words.Status,
  Availability: words.Availability,
  DeviceKind: words.DeviceKind,
  SessionState: words.SessionState,
  Visibility: social.Visibility,
  FriendAlert: social.Alert,
  UserStatus: words.StatusPayload,
  UserStatusWithExtras: http.StatusAnswer,
  UserStatusList: http.StatusesAnswer,
  Detail: words.ShownDetail,
  DetailSource: detail.DetailSource,
  DetailSourceList: detail.DetailSourcesAnswer,
  Reached: reach.Reached,
  ReachedList: reach.ReachAnswer,
  Device: http.Device,
  Why: http.Why,
  Session: http.SessionView,
  SessionList: http.SessionsAnswer,
  Lease: leases.LeaseAnswer,
  LeaseName: leases.LeaseName,
  RenewedLeases: leases.RenewAnswer,
  Profile: social.Profile,
  Settings: social.Settings,
  Friend: social.Friend,
  FriendList: social.FriendsAnswer,
  Block: social.Block,
  BlockList: social.BlocksAnswer,
  PushKey: push.PushKeyAnswer,
  ActiveCounts: analytics.ActiveAnswer,
  ActiveUser: analytics.ActiveUser,
  ActiveUserList: analytics.ActiveUsersAnswer,
  TimelinePoint: analytics.TimelinePoint,
  Timeline: analytics.TimelineAnswer,
  Transition: analytics.Transition,
  TransitionList: analytics.HistoryAnswer,
  ActiveDay: analytics.ActiveDay,
  Activity: analytics.ActivityAnswer,
  AuditEntry: audit.AuditEntry,
  AuditEntryList: audit.AuditAnswer,
  UserExport: exported.UserExport,
  RoomUser: rooms.RoomUser,
  RoomPage: rooms.RoomAnswer,
  RoomCount: rooms.RoomCount,
  RoomCountList: rooms.RoomCountsAnswer,
  UserRoom: rooms.UserRoom,
  UserRoomList: rooms.UserRoomsAnswer,
  Change: changes.FeedChange,
  RoomTold: changes.FeedRoomChange,
  ChangeList: changes.ChangesAnswer,
  WebhookDelivery: changes.WebhookDelivery,
  EventStream,
  Health: http.AliveAnswer,
  Readiness: http.ReadyAnswer,
};

/** Marks what a named schema became, until all of the document is there. */
const MARK = 'x-schema-name';

type Json = Record<string, unknown>;

/**
 * Gives the schemas of the description their names: each stands in `components.schemas` once and is referred to wherever
 * it is used, so that generated clients have types that one would write. `refusals`: those of the answers, by name.
 */
export function nameSchemas(refusals: Record<string, z.ZodType>) {
  const answers: Record<string, z.ZodType> = { ...ANSWERS, ...refusals };
  const names = new Map<z.core.$ZodType, string>(
    Object.entries({ ...REQUESTS, ...answers }).map(([name, schema]) => [schema, name]),
  );
  const override = ({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: Json }): void => {
    withoutTimePatterns({ jsonSchema });
    // An answer without a body is told from one with any by this type.
    if (zodSchema._zod.def.type === 'undefined') jsonSchema.type = 'null';
    const name = nameOf(zodSchema, names);
    if (name !== undefined) jsonSchema[MARK] = name;
  };
  const jsonOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
    const { $schema, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any', override });
    return json;
  };
  const schemas = () =>
    Object.fromEntries(
      [...Object.entries(REQUESTS), ...Object.entries(answers)].map(([name, schema]) => {
        const { [MARK]: _own, ...json } = jsonOf(schema, name in REQUESTS ? 'input' : 'output');
        return [name, referring(json)];
      }),
    );
  return {
    /** For each route, as @fastify/swagger wants it. */
    transform: createJsonSchemaTransform({ zodToJsonConfig: { override } }),
    /** What a schema is before `finish`: of a webhook, which is no route. */
    jsonOf,
    /** The whole document, with references and what they refer to. */
    finish<Document extends { components?: object }>(document: Document) {
      const whole = referring(document) as Document;
      return { ...whole, components: { ...whole.components, schemas: schemas() } };
    },
  };
}

/** That of a schema, or of the one that it repeats with another description. */
function nameOf(schema: z.core.$ZodType | undefined, names: ReadonlyMap<z.core.$ZodType, string>): string | undefined {
  for (let one = schema; one !== undefined; one = one._zod.parent) {
    const name = names.get(one);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** The value with a reference in the place of whatever is marked. What is said of a field beside its schema stays there. */
function referring(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referring);
  if (typeof value !== 'object' || value === null) return value;
  if (MARK in value) {
    const { [MARK]: name, description }: Json = value as Json;
    return { $ref: `#/components/schemas/${name}`, ...(description === undefined ? {} : { description }) };
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, referring(part)]));
}
