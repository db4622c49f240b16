using McpAuth.Protocol;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>What a denied subject is; the word stands in the feed.</summary>
internal static class SubjectKind
{
    public const string Token = "jti", Grant = "grant", Task = "task", Agent = "agent", Instance = "instance", User = "user", Client = "client";
}

/// <summary>Writes the revocation feed; only from units under <see cref="StateLock.Exclusive"/>, so that <c>seq</c> is commit order.</summary>
internal static class Revocations
{
    private static readonly Sql Insert = new(
        "insert into revocations (kind, subject, op, reason, before, at, until) values (@kind, @subject, @op, @reason, @before, @at, @until)");

    /// <summary>The longest any guard could still meet a token of the subject.</summary>
    private static readonly long Reach = (long)(Limits.AccessToken + 2 * Limits.ClockSkew).TotalMilliseconds;

    public static void Deny(WriteTx tx, string kind, string subject, string reason, long now, long? before = null) =>
        tx.Run(Insert.With(kind, subject, "deny", reason, before, now, now + Reach));

    /// <summary>A suspension was lifted.</summary>
    public static void Lift(WriteTx tx, string kind, string subject, string reason, long now) =>
        tx.Run(Insert.With(kind, subject, "lift", reason, null, now, now + Reach));
}
