namespace McpAuthServer.Clients.Documents;

/// <summary>How long an answer may be used again (RFC 9111 §4.2), within bounds of our own. Pure.</summary>
internal static class Freshness
{
    /// <summary>Also of what is not to be stored: each sign-in takes several requests, and their client must not change from one to the next.</summary>
    public static readonly TimeSpan Least = TimeSpan.FromMinutes(5);

    public static readonly TimeSpan Most = TimeSpan.FromHours(24);

    public static TimeSpan Of(HttpResponseMessage response)
    {
        var says = Says(response);
        return says < Least ? Least : says > Most ? Most : says;
    }

    private static TimeSpan Says(HttpResponseMessage response)
    {
        var headers = response.Headers;
        if (headers.CacheControl is { NoStore: true } or { NoCache: true })
            return TimeSpan.Zero;
        if (headers.CacheControl?.MaxAge is { } age)
            return age - (headers.Age ?? TimeSpan.Zero);
        // By the sender's own clock, not by ours (RFC 9111 §4.2.1).
        return response.Content.Headers.Expires - headers.Date ?? TimeSpan.Zero;
    }
}
