using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Pages;

namespace McpAuthServer.Consents;

/// <summary>The answers of the consent page, each with its record.</summary>
internal sealed class ConsentDesk(ConsentReader reader, PolledRequests polled, ConsentTickets tickets, Interactions interactions, AuditTrail trail, Issuer issuer, TimeProvider time)
{
    public static readonly PageResult Answered = PageResult.Error(
        StatusCodes.Status400BadRequest, "You answered already", "The first answer counted.");

    public Interactions Interactions => interactions;

    /// <summary>Shows the page; or whatever else the request calls for.</summary>
    /// <param name="changed">Whether the person answered a page that no longer says what is true.</param>
    public async Task<IResult> AskAsync(Interaction interaction, SignedIn who, bool changed, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        var (pending, read) = await reader.ReadAsync(interaction, who.Session, now, cancel);
        if (pending is null)
            return await TurnAwayAsync(read, who);
        var request = pending.Request;
        if (request.Silent)
            return await RefuseAsync("silent", StatusCodes.Status400BadRequest, "Nothing can be asked here", "The program said that it does not want you to be asked.", who);
        if (request.NeedsSignIn(who.Session, interaction.Begun, now))
            return SignIn(interaction);
        return PageResult.Of<ConsentPage>(pending.View.Title, new Dictionary<string, object>
        {
            [nameof(ConsentPage.View)] = pending.View, [nameof(ConsentPage.Ticket)] = tickets.Seal(interaction, who, now, pending.View.Digest),
            [nameof(ConsentPage.Name)] = who.Person.Name, [nameof(ConsentPage.Email)] = who.Person.Email ?? "",
            [nameof(ConsentPage.Elsewhere)] = SignInPath(interaction), [nameof(ConsentPage.Now)] = now, [nameof(ConsentPage.Changed)] = changed,
        }) with { LeadsOut = true };
    }

    /// <summary>A request that cannot be granted whatever the person says.</summary>
    public async Task<IResult> TurnAwayAsync(ReadRequest read, SignedIn who)
    {
        switch (read)
        {
            case ReadRequest.Unanswerable no:
                await RecordAsync(no.Reason, who, no.Client);
                return PageResult.Error(StatusCodes.Status400BadRequest, "This request cannot be answered", no.Description);
            case ReadRequest.Refused no:
                await RecordAsync(no.Error, who, no.Client);
                return AnswerResult.Of(no.Redirect.Error(no.Error, no.Description));
            default:
                throw new InvalidOperationException($"Not a refusal: {read}.");
        }
    }

    public async Task<IResult> DenyAsync(AuthorizationRequest request, ConsentTicket ticket, SignedIn who) => request.Recipient switch
    {
        ValidatedRedirect redirect => await SpendAsync(Names.Errors.AccessDenied, request, ticket, who)
            ? AnswerResult.Of(redirect.Error(Names.Errors.AccessDenied, "The person did not allow it."))
            : Answered,
        PolledRecipient waits => await polled.DenyAsync(waits, Refusal(Names.Errors.AccessDenied, request, who), ticket.Decision) ? Answer(request, null) : Answered,
        var other => throw new InvalidOperationException($"Unknown recipient {other}."),
    };

    /// <summary>Sends the person on with the answer, or, where it is polled for, to a page that says so.</summary>
    public IResult Answer(AuthorizationRequest request, AuthorizationAnswer? answer) =>
        answer is not null ? AnswerResult.Of(answer) : new SeeOther(issuer.BasePath + (request.Recipient is DeviceRecipient ? Names.Paths.DeviceDone : Names.Paths.AccountAnswered));

    /// <summary>What was shown is not what would be granted: the answer does not count. Or it counted before, and that is what changed.</summary>
    public async Task<IResult> AskAgainAsync(AuthorizationRequest request, ConsentTicket ticket, SignedIn who, CancellationToken cancel) =>
        await SpendAsync("changed", request, ticket, who) ? await AskAsync(ticket.Interaction, who, changed: true, cancel) : Answered;

    public SeeOther SignIn(Interaction interaction) => new(issuer.BasePath + SignInPath(interaction));

    public async Task<IResult> RefuseAsync(string reason, int status, string title, string text, SignedIn? who = null)
    {
        await RecordAsync(reason, who, null);
        return PageResult.Error(status, title, text);
    }

    public Task RecordAsync(string reason, SignedIn? who, string? client) =>
        trail.RefuseAsync(trail.Refusal(AuditTypes.ConsentRefused, reason) with { User = who?.Person.Id, Client = client }, []);

    /// <summary>False when the page was answered before.</summary>
    private async Task<bool> SpendAsync(string reason, AuthorizationRequest request, ConsentTicket ticket, SignedIn who) =>
        await trail.RefuseAsync(Refusal(reason, request, who), [ticket.Decision]) is null;

    private AuditEvent Refusal(string reason, AuthorizationRequest request, SignedIn who) => trail.Refusal(AuditTypes.ConsentRefused, reason) with
    {
        User = who.Person.Id, Client = request.Client.Id, Agent = request.Client.AgentId, Instance = request.Instance, Cause = request.Cause,
        Resource = (request.Asked as Asked.ByScope)?.Server.Resource,
    };

    private string SignInPath(Interaction interaction) => $"{Names.Paths.SignIn}?{ConsentEndpoint.ContinueField}={Uri.EscapeDataString(interactions.Seal(interaction))}";
}
