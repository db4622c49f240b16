using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Pages;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorize;

/// <summary>Authorization endpoint (RFC 6749 §3.1, OAuth 2.1 §3.1): asks the person to sign in and to decide, or answers from what they decided before.</summary>
internal static class AuthorizeEndpoint
{
    /// <summary>A request travels through the browser, sealed, in addresses of this server; longer ones would not fit.</summary>
    private const int MaxQuery = 12 * 1024;

    /// <summary>Requests are read again when the registry changed under them; more often than this means that it never stands still.</summary>
    private const int MaxPlans = 8;

    private static PageResult Nothing => PageResult.Error(StatusCodes.Status400BadRequest, "There is nothing to decide here", "The request is missing or too long.");

    public static void MapAuthorizeEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Authorize, async (HttpContext context, AuthorizeDesk desk) =>
            context.Request.QueryString.Value is { Length: > 1 and <= MaxQuery } query ? await desk.BeginAsync(context, query[1..], MaxPlans) : Nothing);

        // OpenID Connect Core §3.1.2.1: a form as well. Its parameters go on as a query: a form from elsewhere comes without the person's cookies.
        routes.MapPost(Names.Paths.Authorize, async (HttpContext context, Issuer issuer) =>
            await StrictBody.EncodedAsync(context.Request, MaxQuery) is { } query ? (IResult)new SeeOther($"{issuer.BasePath}{Names.Paths.Authorize}?{query}") : Nothing);

        // Back from the sign-in: the same request, and since when it waits.
        routes.MapGet(Names.Paths.AuthorizeResume, (HttpContext context, AuthorizeDesk desk, Interactions interactions) =>
            interactions.Open(context.Request.Query["continue"]) is { } interaction
                ? interaction is { Device: null, Backchannel: null } ? desk.AnswerAsync(context, interaction, MaxPlans) : Task.FromResult(desk.Ask(interaction))
                : Task.FromResult<IResult>(PageResult.Error(StatusCodes.Status400BadRequest, "This took too long", "Go back to the program that sent you here and start again.")));
    }
}

/// <summary>Decides what comes next for one authorization request.</summary>
internal sealed class AuthorizeDesk(
    RegistryCache registry, AuthorizationRequests requests, PushedRequests pushed, ConsentStore consents, CodeIssuer codes, Interactions interactions, AuditTrail audit, Issuer issuer, TimeProvider time)
{
    public async Task<IResult> BeginAsync(HttpContext context, string query, int plans) =>
        // RFC 9126 §4: a reference is good once. Afterwards what was sealed here stands for it.
        AuthorizationRequests.Reference(query) is { } reference && !await pushed.OpenAsync(reference.Reference, reference.Client)
            ? await ShowAsync(AuthorizationRequests.UnknownReference(null))
            : await AnswerAsync(context, new Interaction(query, time.GetUtcNow()), plans);

    /// <summary>Nothing that came another way than through this browser is answered without the person.</summary>
    public IResult Ask(Interaction interaction) => To(Names.Paths.Consent, interaction);

    public async Task<IResult> AnswerAsync(HttpContext context, Interaction interaction, int plans)
    {
        for (; plans > 0; plans--)
        {
            var snapshot = await registry.Current(context.RequestAborted);
            var answer = await requests.ReadAsync(interaction.Query, snapshot, time.GetUtcNow(), context.RequestAborted) switch
            {
                ReadRequest.Unanswerable local => await ShowAsync(local),
                ReadRequest.Refused refused => await TellAsync(context, interaction, refused),
                ReadRequest.Valid { Request: var request } => await DecideAsync(context, interaction, request, snapshot),
                var other => throw new InvalidOperationException($"Unknown outcome {other}."),
            };
            if (answer is not null)
                return answer;
            registry.Invalidate(snapshot.Version);
        }
        return PageResult.Error(StatusCodes.Status503ServiceUnavailable, "Try again in a moment", "What is registered is changing just now.");
    }

    /// <summary>
    /// The client is told, once the person has signed in: an address of this server that anybody can make up would otherwise lead wherever somebody
    /// registered (OAuth 2.1 §7.13.2).
    /// </summary>
    private async Task<IResult> TellAsync(HttpContext context, Interaction interaction, ReadRequest.Refused refused)
    {
        var who = await Browser.SignedInAsync(context);
        return who is null && !refused.Silent
            ? To(Names.Paths.SignIn, interaction)
            : await RefuseAsync(refused.Redirect, refused.Error, refused.Description, refused.Client, who?.Person.Id);
    }

    /// <summary>Null when what was read is no longer so: read again.</summary>
    private async Task<IResult?> DecideAsync(HttpContext context, Interaction interaction, AuthorizationRequest request, RegistrySnapshot snapshot)
    {
        // 1. Who decides (OpenID Connect Core §3.1.2.3).
        var who = await Browser.SignedInAsync(context);
        // §3.1.2.2: for another than the request names there is no answer. Who had to sign in for it was asked once.
        if (who is not null && request.IsForAnother(who.Session) && (request.Silent || who.Session.AuthTime >= interaction.Begun))
            return await RefuseAsync((ValidatedRedirect)request.Recipient, Names.Errors.LoginRequired, "Another person is signed in than the one of id_token_hint.", request.Client.Id, who.Person.Id);
        if (who is not { } signedIn || request.NeedsSignIn(signedIn.Session, interaction.Begun, time.GetUtcNow()))
            return request.Silent
                ? await RefuseAsync((ValidatedRedirect)request.Recipient, Names.Errors.LoginRequired, "The person is not signed in, or not recently enough.", request.Client.Id, null)
                : To(Names.Paths.SignIn, interaction);

        // 2. Whether they have decided already.
        if (await consents.FindFor(signedIn.Person.Id, request, context.RequestAborted) is not { } consent || !consent.Answers(request, time.GetUtcNow()))
            return request.Silent
                ? await RefuseAsync((ValidatedRedirect)request.Recipient, Names.Errors.ConsentRequired, "The person has to be asked.", request.Client.Id, signedIn.Person.Id)
                : To(Names.Paths.Consent, interaction);

        // 3. One commit.
        var (result, answer) = await codes.IssueAsync(request, signedIn.Session, Approval.Remembered(request.Asked, consent), decision: null, snapshot.Version);
        return result.Outcome switch
        {
            IssueOutcome.Issued => AnswerResult.Of(answer!),
            IssueOutcome.Ended => To(Names.Paths.SignIn, interaction),
            _ => null,
        };
    }

    private SeeOther To(string path, Interaction interaction) => new($"{issuer.BasePath}{path}?continue={interactions.Seal(interaction)}");

    private async Task<IResult> ShowAsync(ReadRequest.Unanswerable local)
    {
        await audit.RefuseAsync(audit.Refusal(AuditTypes.AuthorizationRefused, local.Reason) with { Client = local.Client }, []);
        return PageResult.Error(StatusCodes.Status400BadRequest, "This request cannot be answered", local.Description);
    }

    private async Task<IResult> RefuseAsync(ValidatedRedirect redirect, string error, string description, string client, string? user)
    {
        await audit.RefuseAsync(audit.Refusal(AuditTypes.AuthorizationRefused, error) with { Client = client, User = user }, []);
        return AnswerResult.Of(redirect.Error(error, description));
    }
}
