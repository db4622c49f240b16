using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Pages;

namespace McpAuthServer.Consents;

/// <summary>Asks the person, and takes the answer (OAuth 2.1 §4.1.1). Only a form that this page made, in this browser, for this person decides.</summary>
internal static class ConsentEndpoint
{
    public const string ContinueField = "continue", TicketField = "ticket", DecisionField = "decision", Allow = "allow", Deny = "deny";

    /// <summary>How often the registry may change under one answer before it is given up.</summary>
    private const int Attempts = 5;

    public static void MapConsent(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Consent, ShowAsync);
        routes.MapPost(Names.Paths.Consent, AnswerAsync);
    }

    private static async Task<IResult> ShowAsync(HttpContext context, ConsentDesk desk)
    {
        // 1. Addresses decide nothing: whoever puts an answer into one is not this page.
        if (context.Request.Query.Keys.Any(name => name != ContinueField))
            return await desk.RefuseAsync("parameter", StatusCodes.Status403Forbidden, "Nothing was allowed", "This address carries more than it should. Nothing was decided by it.");

        // 2. What the person was about to do, and who they are.
        if (desk.Interactions.Open(context.Request.Query[ContinueField] is [{ } text] ? text : null) is not { } interaction)
            return await desk.RefuseAsync("continue", StatusCodes.Status400BadRequest, "This page is out of date", "Go back to the program that sent you here and start again.");
        return await Browser.SignedInAsync(context) is { } who ? await desk.AskAsync(interaction, who, changed: false, context.RequestAborted) : desk.SignIn(interaction);
    }

    private static async Task<IResult> AnswerAsync(HttpContext context, ConsentDesk desk, ConsentTickets tickets, ConsentReader reader, CodeIssuer codes, TimeProvider time)
    {
        // 1. A form of ours, from this browser.
        var (form, refusal) = await PageForm.ReadAsync(context, AuditTypes.ConsentRefused);
        if (form is null)
            return refusal!;

        // 2. Which page it was, and that the one who answers is the one who was asked.
        if (tickets.Open(form[TicketField]) is not { } ticket)
            return await desk.RefuseAsync("ticket", StatusCodes.Status400BadRequest, "This page is out of date", "It was open for more than ten minutes. Go back to the program that sent you here and start again.");
        if (await Browser.SignedInAsync(context) is not { } who)
            return desk.SignIn(ticket.Interaction);
        if (who.Session.Id != ticket.Session || who.Person.Id != ticket.User)
            return await desk.RefuseAsync("session", StatusCodes.Status403Forbidden, "You signed in anew", "The page was shown in another sign-in than this one, so the answer does not count. Go back to the program that sent you here and start again.", who);
        if (form[DecisionField] is not (Allow or Deny))
            return await desk.RefuseAsync("decision", StatusCodes.Status400BadRequest, "There was no answer", "Go back and choose Allow or Deny.", who);

        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            // 3. The request again, against what is registered now; deadlines as the page showed them, unless they have passed.
            var now = time.GetUtcNow();
            var (pending, read) = await reader.ReadAsync(ticket.Interaction, who.Session, ticket.Shown, context.RequestAborted);
            if (pending?.Request.Asked is Asked.Delegation { Until: var until } && until <= now)
                (pending, read) = await reader.ReadAsync(ticket.Interaction, who.Session, now, context.RequestAborted);
            if (pending is null)
                return await desk.TurnAwayAsync(read, who);

            // 4. No needs nothing more. What is left of the request is what is granted; nothing left is a no as well.
            var kept = form.Values(PageForm.Item).ToHashSet(StringComparer.Ordinal);
            if (form[DecisionField] == Deny || Approval.Of(pending.Request.Asked, pending.Items.Where(item => kept.Contains(item.Key))) is not { } approval)
                return await desk.DenyAsync(pending.Request, ticket, who);

            // 5. The answer is to what stood on the page.
            if (pending.View.Digest != ticket.Digest)
                return await desk.AskAgainAsync(pending.Request, ticket, who, context.RequestAborted);
            if (pending.Request.NeedsSignIn(who.Session, ticket.Interaction.Begun, now))
                return desk.SignIn(ticket.Interaction);
            var (result, answer) = await codes.IssueAsync(pending.Request, who.Session, approval, ticket.Decision, pending.Version);
            switch (result.Outcome)
            {
                case IssueOutcome.Issued:
                    return desk.Answer(pending.Request, answer);
                case IssueOutcome.Replayed:
                    return ConsentDesk.Answered;
                case IssueOutcome.Ended:
                    return desk.SignIn(ticket.Interaction);
                default:
                    reader.Stale(pending.Version);
                    continue;
            }
        }
        return PageResult.Error(StatusCodes.Status503ServiceUnavailable, "Try again in a moment", "What is registered is changing just now.");
    }
}
