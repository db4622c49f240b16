using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>
/// The tokens of work that was handed to this agent. Each renewal uses up the refresh token of the one before (RFC 6749 §6, OAuth 2.1 §4.3.1),
/// for whichever tool server it is, so there is one at a time. Where there is no refresh token, the newest access token of a tool server is
/// exchanged for the next.
/// </summary>
internal sealed class TokenLine(TokenEndpoint endpoint, string resource, AccessToken first, string? refreshToken) : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);
    private readonly Dictionary<string, AccessToken> newest = new(StringComparer.Ordinal) { [resource] = first };
    private string? refresh = refreshToken;

    /// <summary>The tool server it began at.</summary>
    public string Resource => resource;

    public AccessToken First => first;

    /// <summary>The next token for a tool server.</summary>
    /// <param name="details">What to ask for where an access token is exchanged.</param>
    public async Task<AccessToken> Renew(string at, string details, CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        // Who no longer waits does not stop it: the refresh token may be used by then, and its successor must not get lost.
        return await Next(at, details).WaitAsync(cancellationToken);
    }

    private async Task<AccessToken> Next(string at, string details)
    {
        try
        {
            AccessToken token;
            if (refresh is { } used)
            {
                (token, TokenResponse answer) = await endpoint.Refresh(used, at, CancellationToken.None);
                refresh = answer.RefreshToken ?? used; // RFC 6749 §6: without a new one the old one stays
            }
            else
            {
                AccessToken subject = newest.GetValueOrDefault(at) ?? first;
                (token, _) = await endpoint.Exchange(subject.Value, actor: null, at, details, CancellationToken.None);
            }
            return newest[at] = token;
        }
        catch (Exception e) when (MayHaveBeenUsed(e))
        {
            // A second use would revoke the whole task. What is left are the access tokens.
            refresh = null;
            throw;
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();

    /// <summary>Whether the request got there and its answer did not come back: not so when the connection never stood, or the server says no.</summary>
    private static bool MayHaveBeenUsed(Exception e) => e switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError } => false,
        OAuthErrorException { Status: < 500 or 503 } => false,
        _ => true,
    };
}
