using McpAuthServer.Authorizations;

namespace McpAuthServer.Pages;

/// <summary>Sends an authorization request's answer on its way through the browser.</summary>
internal static class AnswerResult
{
    public static IResult Of(AuthorizationAnswer answer) => answer.Mode switch
    {
        ResponseMode.Query => new SeeOther(answer.Location),
        // OAuth 2.0 Form Post Response Mode §2.
        ResponseMode.FormPost => PageResult.Of<FormPostPage>("One moment", new Dictionary<string, object>
        {
            [nameof(FormPostPage.Uri)] = answer.Uri, [nameof(FormPostPage.Fields)] = answer.Parameters,
        }) with { LeadsOut = true, Script = Asset.Submit },
        var other => throw new InvalidOperationException($"Unknown response mode {other}."),
    };
}
