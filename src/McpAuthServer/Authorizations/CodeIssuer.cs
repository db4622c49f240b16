using McpAuthServer.Delegation;
using McpAuthServer.People;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Authorizations;

/// <summary>Answers a request with a code.</summary>
internal sealed class CodeIssuer(ICommitLog log, ServerOptions options, TimeProvider time)
{
    /// <summary>
    /// What the browser takes along when <see cref="IssueOutcome.Issued"/>; null where the recipient polls for it. <see cref="IssueOutcome.Stale"/>: the registry or the remembered consent changed;
    /// read the request again. <see cref="IssueOutcome.Replayed"/>: the person's answer came twice. <see cref="IssueOutcome.Ended"/>: the sign-in ended.
    /// </summary>
    /// <param name="decision">What makes the person's answer count once; null when a remembered consent answers.</param>
    public async Task<(IssueResult Result, AuthorizationAnswer? Answer)> IssueAsync(
        AuthorizationRequest request, SignInSession session, Approval approval, Once? decision, long registryVersion)
    {
        var code = OpaqueToken.New(OpaqueToken.Code);
        var hash = request.Recipient is PolledRecipient polled ? polled.Hash : code.Hash;
        var result = await log.Commit(new IssueCode(request, session, approval, hash, decision, registryVersion, time.GetUtcNow(), options.Node));
        return (result, result.Outcome == IssueOutcome.Issued && request.Recipient is ValidatedRedirect redirect ? redirect.Success(code.Value) : null);
    }
}
