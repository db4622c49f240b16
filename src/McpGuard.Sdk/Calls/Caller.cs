using System.Net;
using McpGuard.Sdk.Http;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Calls;

/// <summary>Who calls, after the HTTP layer.</summary>
/// <param name="Confirmed">
/// The token is known not to be revoked. False: the feed is stale and the server could not be asked, so nothing runs but, by
/// configuration, a read for a short while.
/// </param>
/// <param name="Address">Where the request came from; null when a proxy stands before.</param>
/// <param name="Presented">The token's text, for an exchange while the call runs.</param>
internal sealed record Caller(ValidatedToken Token, bool Confirmed, IPAddress? Address = null, PresentedToken Presented = default);
