namespace McpAuthServer.Pages;

/// <summary>
/// What a person was about to do when they had to sign in or decide: it travels through their browser sealed, so that no page takes an
/// address from a request to send the browser to.
/// </summary>
/// <param name="Query">The authorization request's query as it came, without the question mark.</param>
/// <param name="Device">In its place, where a device asks: the hash of its code.</param>
/// <param name="Backchannel">Likewise, where an agent asks that is not in this browser: the hash of its request.</param>
/// <param name="Approval">Likewise, where a call waits for them: the approval's id.</param>
/// <param name="Begun">When: a sign-in that was demanded must be later.</param>
internal sealed record Interaction(string Query, DateTimeOffset Begun, string? Device = null, string? Backchannel = null, string? Approval = null);
