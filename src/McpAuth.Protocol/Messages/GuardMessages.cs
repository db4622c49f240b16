using System.Text.Json;
using System.Text.Json.Serialization;
using McpAuth.Protocol.Audit;

namespace McpAuth.Protocol.Messages;

// The bodies of the guard's channels. All but enrolment are called with `Authorization: DPoP <token>` and a DPoP proof; the token
// comes from /token by client_credentials with private_key_jwt (client_id = guard id, resource = issuer + "/guard").

/// <summary><c>POST /guard/enroll</c>: a one-time secret of the tool server for a guard identity of its own.</summary>
public sealed record EnrollRequest(
    [property: JsonPropertyName("resource")] string Resource,
    [property: JsonPropertyName("enrolment_secret")] string EnrolmentSecret,
    [property: JsonPropertyName("jwk")] JsonElement Jwk);

/// <param name="PolicyKey">The public key (a JWK) that signs policies: the only one this guard believes about them, whatever is published later.</param>
public sealed record EnrollResponse(
    [property: JsonPropertyName("guard_id")] string GuardId,
    [property: JsonPropertyName("tool_server")] string ToolServer,
    [property: JsonPropertyName("resource")] string Resource,
    [property: JsonPropertyName("args_key")] ArgsKey ArgsKey,
    [property: JsonPropertyName("policy_key")] JsonElement PolicyKey);

/// <summary>The tool server's key for <c>args_digest</c> = HMAC-SHA256(key, RFC 8785 form), written <c>v{version}:{base64url}</c>.</summary>
public sealed record ArgsKey(
    [property: JsonPropertyName("version")] int Version,
    [property: JsonPropertyName("key")] string Key);

/// <summary><c>POST /guard/streams</c> (empty body): one stream per guard process. The snapshot is applied before the first call is served.</summary>
/// <param name="Time">The server's clock as it answers, epoch milliseconds; so in <see cref="RevocationsResponse"/>.</param>
public sealed record StreamResponse(
    [property: JsonPropertyName("stream")] string Stream,
    [property: JsonPropertyName("cursor")] long Cursor,
    [property: JsonPropertyName("snapshot")] IReadOnlyList<Denied> Snapshot,
    [property: JsonPropertyName("args_key")] ArgsKey ArgsKey,
    [property: JsonPropertyName("time")] long? Time = null);

/// <summary>One denied subject. <paramref name="Kind"/>: <c>jti</c>, <c>grant</c>, <c>task</c>, <c>agent</c>, <c>instance</c>, <c>user</c>, <c>client</c>, <c>key</c>: a signing key
/// of the server, as <c>key_</c> and its <c>kid</c>; <c>tool_server</c>: all for one audience, as <c>aud=</c> and the resource; <c>everything</c>: <c>*</c>.</summary>
/// <param name="Until">Epoch milliseconds after which no token can name it any more.</param>
/// <param name="Before">For <c>user</c>, <c>tool_server</c>, <c>everything</c>: tokens issued at or before this epoch second are dead; null = all.</param>
public sealed record Denied(
    [property: JsonPropertyName("kind")] string Kind,
    [property: JsonPropertyName("id")] string Id,
    [property: JsonPropertyName("until")] long Until,
    [property: JsonPropertyName("before")] long? Before = null);

/// <summary><c>POST /guard/revocations</c> (RFC 8936 poll): waits up to 1 s for something after <paramref name="After"/>.</summary>
public sealed record RevocationsRequest(
    [property: JsonPropertyName("stream")] string Stream,
    [property: JsonPropertyName("after")] long After,
    [property: JsonPropertyName("maxEvents")] int MaxEvents = 100,
    [property: JsonPropertyName("returnImmediately")] bool ReturnImmediately = false);

/// <param name="Sets">jti → signed SET (<c>secevent+jwt</c>). Its one event is <see cref="RevocationEvents"/>.</param>
/// <param name="Seq">jti → place; state applies in this order.</param>
/// <param name="HighWater">Read from the primary after the poll arrived.</param>
/// <param name="Manifest">Changes when a tool of this server changed state: ask <c>/guard/manifest</c> again.</param>
public sealed record RevocationsResponse(
    [property: JsonPropertyName("sets")] IReadOnlyDictionary<string, string> Sets,
    [property: JsonPropertyName("seq")] IReadOnlyDictionary<string, long> Seq,
    [property: JsonPropertyName("highWater")] long HighWater,
    [property: JsonPropertyName("moreAvailable")] bool MoreAvailable,
    [property: JsonPropertyName("manifest")] long Manifest,
    [property: JsonPropertyName("time")] long? Time = null);

/// <summary>
/// Event types inside a SET and the payload members. <c>sub_id</c>: <c>{"format":"jwt_id","iss","jti"}</c>, <c>{"format":"opaque","id"}</c>
/// (grant, task, agent, instance, client, signing key, tool server, everything: told apart by prefix), <c>{"format":"iss_sub","iss","sub"}</c> for users.
/// The event's payload carries <c>kind</c>, <c>reason</c>, <c>until</c> (epoch ms) and, for users, tool servers and everything, <c>before</c> (epoch s).
/// </summary>
public static class RevocationEvents
{
    public const string Revoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    /// <summary>A suspension was lifted: the subject leaves the deny table.</summary>
    public const string Lifted = "urn:mcpauth:event:suspension-lifted";

    /// <summary>The <c>kind</c> of a revoked signing key: all that it signed is dead, and the key set is to be fetched again.</summary>
    public const string SigningKey = "key";
}

/// <summary><c>POST /guard/manifest</c>: the tools this guard serves.</summary>
public sealed record ManifestRequest([property: JsonPropertyName("tools")] IReadOnlyList<ManifestTool> Tools);

/// <param name="Definition">name, description, inputSchema, annotations… as listed to clients; its digest is <c>sha-256:</c> over RFC 8785.</param>
public sealed record ManifestTool(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("definition")] JsonElement Definition);

/// <param name="Development">The tool server is in developer mode; of the tools, those that this report has approved unseen. Absent = it is not.</param>
public sealed record ManifestResponse(
    [property: JsonPropertyName("manifest")] long Manifest,
    [property: JsonPropertyName("tools")] IReadOnlyList<ManifestToolState> Tools,
    [property: JsonPropertyName("development")] IReadOnlyList<string>? Development = null);

/// <param name="State"><c>new</c>, <c>approved</c>, <c>drifted</c>, <c>retired</c>; only approved tools run.</param>
/// <param name="Sensitivity"><c>read</c>, <c>write</c> or <c>destructive</c>.</param>
/// <param name="Digest">The approved definition digest; null while none is.</param>
/// <param name="Approval"><c>required</c>: every call needs a person's yes.</param>
public sealed record ManifestToolState(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("state")] string State,
    [property: JsonPropertyName("sensitivity")] string Sensitivity,
    [property: JsonPropertyName("digest")] string? Digest,
    [property: JsonPropertyName("approval")] string? Approval = null);

/// <summary><c>POST /guard/audit</c>: a batch of the spool, in sequence. Delivered again until acknowledged.</summary>
public sealed record GuardAuditRequest([property: JsonPropertyName("entries")] IReadOnlyList<SpoolEntry> Entries);

/// <param name="Seq">1, 2, 3… per guard; never reused.</param>
/// <param name="Prev">base64url SHA-256 of the previous entry's <paramref name="Event"/> bytes chained: hash(n) = SHA-256(hash(n-1) ‖ canonical event n); hash(0) = SHA-256 of the guard id.</param>
/// <param name="Event">A <see cref="AuditEvent"/>; user, agent, client and task are filled in by the server from <c>jti</c>.</param>
public sealed record SpoolEntry(
    [property: JsonPropertyName("seq")] long Seq,
    [property: JsonPropertyName("prev")] string Prev,
    [property: JsonPropertyName("event")] AuditEvent Event);

/// <param name="Acknowledged">Entries up to and including this one are stored; the guard may forget them.</param>
public sealed record GuardAuditResponse([property: JsonPropertyName("acknowledged")] long Acknowledged);

/// <summary><c>POST /guard/budgets</c>: spend calls of a tool that carries <c>max_calls</c>, against the grant's task and every ancestor.</summary>
/// <param name="Calls">What is needed now: all of it is granted, or nothing.</param>
/// <param name="UpTo">How many in all the guard would take; what is granted beyond <paramref name="Calls"/> is leased to it. Absent = no more than those.</param>
public sealed record BudgetRequest(
    [property: JsonPropertyName("jti")] string Jti,
    [property: JsonPropertyName("tool")] string Tool,
    [property: JsonPropertyName("calls")] int Calls = 1,
    [property: JsonPropertyName("up_to")] int? UpTo = null);

/// <param name="Granted">How many calls may run: 0, or what was asked for and perhaps more.</param>
/// <param name="Lease">Under which the calls beyond those that were asked for are held; null when there are none. They are spent already, unless they are returned.</param>
/// <param name="ExpiresIn">Seconds; after that the lease's calls may neither run nor be returned.</param>
public sealed record BudgetResponse(
    [property: JsonPropertyName("granted")] int Granted,
    [property: JsonPropertyName("reason")] string? Reason = null,
    [property: JsonPropertyName("lease")] string? Lease = null,
    [property: JsonPropertyName("expires_in")] int? ExpiresIn = null);

/// <summary><c>POST /guard/budgets/returns</c>: what is left of leases, each of which ends with it.</summary>
public sealed record BudgetReturnsRequest([property: JsonPropertyName("leases")] IReadOnlyList<ReturnedLease> Leases);

/// <param name="Unused">Calls that did not run and will not.</param>
public sealed record ReturnedLease([property: JsonPropertyName("lease")] string Lease, [property: JsonPropertyName("unused")] int Unused);

/// <param name="Returned">How many calls may be spent again, over all leases; none of a lease that is over, another guard's, or smaller than what was returned.</param>
public sealed record BudgetReturnsResponse([property: JsonPropertyName("returned")] long Returned);

/// <summary>The answer of <c>/introspect</c> (RFC 7662 §2.2) as guards read it.</summary>
public sealed record IntrospectionResponse(
    [property: JsonPropertyName("active")] bool Active,
    [property: JsonPropertyName("jti")] string? Jti = null,
    [property: JsonPropertyName("reason")] string? Reason = null);
