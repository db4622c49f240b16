using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.People;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorizations;

/// <summary>What a person is asked for.</summary>
internal abstract record Asked
{
    /// <summary>A program's access to one tool server, in scope words; more can be asked for later.</summary>
    /// <param name="Words">Known and distinct, in ordinal order; at least one of them is of the tool server.</param>
    internal sealed record ByScope(ToolServerRecord Server, IReadOnlyList<string> Words) : Asked;

    /// <summary>Who the person is, and nothing else.</summary>
    /// <param name="Words">Known and distinct, in ordinal order; <c>openid</c> is one of them.</param>
    internal sealed record Identity(IReadOnlyList<string> Words) : Asked;

    /// <summary>That an agent acts for the person: one task, over any number of tool servers.</summary>
    /// <param name="Until">When the task ends at the latest.</param>
    internal sealed record Delegation(AgentRecord Agent, Authority Authority, string Purpose, DateTimeOffset Until) : Asked;
}

/// <summary>An authorization request after it was checked: everything in it may be acted upon, nothing was decided yet.</summary>
/// <param name="Prompt">OpenID Connect Core §3.1.2.1.</param>
internal sealed record AuthorizationRequest(ClientRecord Client, Recipient Recipient, Asked Asked, IReadOnlySet<string> Prompt, TimeSpan? MaxAge)
{
    /// <summary>The S256 code challenge (RFC 7636 §4.2); null only where no code travels through a browser.</summary>
    public string? Challenge { get; init; }

    /// <summary>Goes into the ID token verbatim (OpenID Connect Core §3.1.2.1).</summary>
    public string? Nonce { get; init; }

    /// <summary>The key that the code is bound to (RFC 9449 §10).</summary>
    public string? Thumbprint { get; init; }

    /// <summary>Whom the client takes to be before the browser, by an ID token it got or by name; nobody else is answered for (OpenID Connect Core §3.1.2.1, §3.1.2.2).</summary>
    public string? Subject { get; init; }

    /// <summary>The attested instance of an agent that asks, where one proved to.</summary>
    public string? Instance { get; init; }

    /// <summary>The event that tells of the asking, where it is not the answer that begins everything.</summary>
    public string? Cause { get; init; }

    public bool Silent => Prompt.Contains(Names.Authorization.PromptNone);

    /// <summary>Whether this sign-in is another person's, is too old, or a new one was demanded and did not come yet.</summary>
    /// <param name="begun">When the request first came in.</param>
    public bool NeedsSignIn(SignInSession session, DateTimeOffset begun, DateTimeOffset now)
    {
        if (IsForAnother(session))
            return true;
        if (session.AuthTime >= begun)
            return false;
        return Prompt.Contains(Names.Authorization.PromptLogin) || Prompt.Contains(Names.Authorization.PromptSelectAccount) || session.AuthTime + MaxAge < now;
    }

    public bool IsForAnother(SignInSession session) => Subject is not null && Subject != session.UserId;
}

/// <summary>How reading a request ended.</summary>
internal abstract record ReadRequest
{
    internal sealed record Valid(AuthorizationRequest Request) : ReadRequest;

    /// <summary>There is nobody whom it would be safe to answer: the person is told, on a page of this server.</summary>
    internal sealed record Unanswerable(string Description, string Reason, string? Client) : ReadRequest;

    /// <summary>The client is told.</summary>
    /// <param name="Silent">Whether nobody is to be asked anything, not even who they are.</param>
    internal sealed record Refused(ValidatedRedirect Redirect, string Error, string Description, string Client, bool Silent) : ReadRequest;
}
