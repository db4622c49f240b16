using McpAuthServer.Storage;

namespace McpAuthServer.People;

/// <summary>One sign-in of a person in one browser; it ends at sign-out, at its expiry, or when the person is disabled.</summary>
/// <param name="AuthTime">When the person last proved who they are.</param>
/// <param name="Acr">How: <see cref="Password"/>.</param>
internal sealed record SignInSession(string Id, string UserId, DateTimeOffset AuthTime, string Acr, DateTimeOffset Expires)
{
    public const string Password = "pwd";

    /// <summary>All ways there are, best first.</summary>
    public static readonly string[] Ways = [Password];

    public static readonly TimeSpan Life = TimeSpan.FromHours(12);

    private static readonly Sql Living = new(
        "select count(*) from sessions s join users u on u.id = s.user_id where s.id = @id and s.ended_at is null and s.expires_at > @now and u.enabled = 1");

    /// <summary>Whether it still counts, asked in the commit that what the person says is part of.</summary>
    public bool Lives(WriteTx tx, DateTimeOffset now) => tx.First(Living.With(Id, now.ToUnixTimeMilliseconds()), r => r.GetInt64(0)) > 0;
}

/// <summary>Reads sessions.</summary>
internal sealed class SessionStore(IReadStore store)
{
    private static readonly Sql Live = new(
        """
        select s.id, s.user_id, s.auth_time, s.acr, s.expires_at from sessions s join users u on u.id = s.user_id
        where s.id = @id and s.ended_at is null and s.expires_at > @now and u.enabled = 1
        """);

    /// <summary>The session, if it is one that still counts.</summary>
    public Task<SignInSession?> FindLive(string id, DateTimeOffset now, CancellationToken cancel) =>
        store.First(Live.With(id, now.ToUnixTimeMilliseconds()), r => (SignInSession?)new SignInSession(
            r.GetString(0), r.GetString(1), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(2)), r.GetString(3), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(4))), cancel);
}
