using System.Globalization;

namespace Person;

/// <summary>What the person does, and what they read on the way.</summary>
internal sealed class Visit(Browser browser, string email, string password, TextWriter told)
{
    /// <summary>Follows an authorization request to the page that asks, answers it, and goes back to the program that asked.</summary>
    public async Task Answer(Uri address, bool deny, CancellationToken cancellationToken)
    {
        (Page page, Page back) = await Decide(await SignedIn(await browser.Open(address, cancellationToken), cancellationToken), deny, cancellationToken);
        if (back.Address.GetLeftPart(UriPartial.Authority) == page.Address.GetLeftPart(UriPartial.Authority) || (int)back.Status is < 200 or > 299)
            throw new LostException($"the answer led to {back.Address.GetLeftPart(UriPartial.Path)} ({(int)back.Status}): {string.Join(" / ", back.Lines())}");
        // The rest of the address is the code.
        Tell($"is sent back to {back.Address.GetLeftPart(UriPartial.Path)}");
    }

    /// <summary>Finds on the account page what an agent asks from elsewhere, and answers it.</summary>
    public async Task AnswerWaiting(Uri account, bool deny, CancellationToken cancellationToken)
    {
        Page page = await SignedIn(await browser.Open(account, cancellationToken), cancellationToken);
        if (page.Links.FirstOrDefault(l => l.AbsolutePath == "/consent") is not { } question)
            throw new LostException($"{page.Address.AbsolutePath} has no question: {string.Join(" / ", page.Lines())}");
        Tell($"opens {page.Address.AbsolutePath}, where a question waits");
        (_, Page back) = await Decide(await browser.Open(question, cancellationToken), deny, cancellationToken);
        if ((int)back.Status is < 200 or > 299) throw new LostException($"the page answered {(int)back.Status}: {string.Join(" / ", back.Lines())}");
    }

    private async Task<(Page Asked, Page Back)> Decide(Page page, bool deny, CancellationToken cancellationToken)
    {
        (string answer, string does) = deny ? ("deny", "presses Deny") : ("allow", "leaves the boxes ticked and presses Allow");
        if (page.Forms.SelectMany(f => f.Buttons, (f, b) => (Form: f, Button: b)).FirstOrDefault(p => p.Button is { Name: "decision" } b && b.Value == answer) is not { Form: { } form } asked)
            throw new LostException($"{page.Address.AbsolutePath} asks nothing: {string.Join(" / ", page.Lines())}");
        Tell("reads:");
        foreach (string line in page.Lines()) told.WriteLine($"      | {line}");
        Tell(does);
        return (page, await browser.Press(page, form, asked.Button, [], cancellationToken));
    }

    /// <summary>Finds on the account page what the name stands for, and ends it.</summary>
    public async Task End(Uri account, string name, CancellationToken cancellationToken)
    {
        Page page = await SignedIn(await browser.Open(account, cancellationToken), cancellationToken);
        // Work that goes on before what was allowed for later.
        string[] labels = [$"End access of {name}", $"Withdraw access of {name}"];
        (Form Form, Button Button)[] all = [.. page.Forms.SelectMany(f => f.Buttons, (f, b) => (f, b))];
        if (labels.Select(l => all.FirstOrDefault(p => p.Button.Label == l)).Append(all.FirstOrDefault(p => p.Form.Action.Contains($"/{name}/", StringComparison.Ordinal)))
            .FirstOrDefault(p => p.Form is not null) is not { Form: { } form } chosen)
            throw new LostException($"{page.Address.AbsolutePath} has no button for {name}: {string.Join(" / ", page.Lines())}");
        Tell($"opens {page.Address.AbsolutePath} and presses \"{chosen.Button.Label}\"");
        Page after = await browser.Press(page, form, chosen.Button, [], cancellationToken);
        DateTimeOffset acknowledged = TimeProvider.System.GetUtcNow();
        if ((int)after.Status is < 200 or > 299) throw new LostException($"the page answered {(int)after.Status}: {string.Join(" / ", after.Lines())}");
        if (after.Lines() is [_, var notice, ..]) Tell($"reads: {notice}");
        Tell(string.Create(CultureInfo.InvariantCulture, $"had the answer at {acknowledged.ToUnixTimeMilliseconds()} ms"));
    }

    private async Task<Page> SignedIn(Page page, CancellationToken cancellationToken)
    {
        if (page.Forms.FirstOrDefault(f => f.AsksPassword) is { } form)
        {
            Tell($"signs in as {email}");
            Form typed = form with { Fields = [.. form.Fields.Where(f => f.Key != "email")] };
            page = await browser.Press(page, typed, form.Buttons[0], [new("email", email), new("password", password)], cancellationToken);
            if (page.Forms.Any(f => f.AsksPassword)) throw new LostException($"the sign-in was refused: {string.Join(" / ", page.Lines())}");
        }
        return (int)page.Status is >= 200 and <= 299 ? page
            : throw new LostException($"{page.Address.AbsolutePath} answered {(int)page.Status}: {string.Join(" / ", page.Lines())}");
    }

    private void Tell(string what) => told.WriteLine($"   {email.Split('@')[0]}  {what}");
}
