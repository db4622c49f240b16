using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>What a denied subject is; the word stands in the feed.</summary>
internal static class SubjectKind
{
    public const string Token = "jti", Grant = "grant", Task = "task", Agent = "agent", Instance = "instance", User = "user", Client = "client",
        Key = RevocationEvents.SigningKey, ToolServer = "tool_server", Everything = "everything";
}

/// <summary>Writes the revocation feed; only from units under <see cref="StateLock.Exclusive"/>, so that <c>seq</c> is commit order.</summary>
internal static class Revocations
{
    private static readonly Sql Insert = new(
        "insert into revocations (kind, subject, op, reason, before, at, until) values (@kind, @subject, @op, @reason, @before, @at, @until)");

    /// <summary>The longest any guard could still meet a token of the subject.</summary>
    private static readonly long Reach = (long)(Limits.AccessToken + 2 * Limits.ClockSkew).TotalMilliseconds;

    /// <summary>The longest any guard could still hold a key: from a key set that was kept for as long as it may be, by a cache and then by the guard.</summary>
    private static readonly long KeyReach = (long)(Limits.KeySetAge + Limits.KeySetLimit + 2 * Limits.ClockSkew).TotalMilliseconds;

    public static void Deny(WriteTx tx, string kind, string subject, string reason, long now, long? before = null) =>
        tx.Run(Insert.With(kind, subject, "deny", reason, before, now, now + Reach));

    /// <summary>A signing key: whoever holds it makes tokens of any age, so the word stays for as long as a guard may still trust the key.</summary>
    public static void DenyKey(WriteTx tx, string kid, string reason, long now) =>
        tx.Run(Insert.With(SubjectKind.Key, Id.SigningKey + kid, "deny", reason, null, now, now + KeyReach));

    /// <summary>A suspension was lifted.</summary>
    public static void Lift(WriteTx tx, string kind, string subject, string reason, long now) =>
        tx.Run(Insert.With(kind, subject, "lift", reason, null, now, now + Reach));
}
