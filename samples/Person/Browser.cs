namespace Person;

/// <summary>As much of a browser as our pages need: redirects, forms, and cookies.</summary>
internal sealed class Browser : IDisposable
{
    private const int MostRedirects = 10;

    // The platform's own jar gives no Secure cookie back over http, not even on this machine, where browsers do.
    private readonly HttpClient http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false });
    private readonly Dictionary<(string Origin, string Name), string> cookies = [];

    public Task<Page> Open(Uri address, CancellationToken cancellationToken) => Send(HttpMethod.Get, address, null, cancellationToken);

    /// <summary>Presses a button: the form's fields go along, every ticked box among them.</summary>
    public Task<Page> Press(Page page, Form form, Button button, IEnumerable<KeyValuePair<string, string>> typed, CancellationToken cancellationToken)
    {
        List<KeyValuePair<string, string>> fields = [.. form.Fields, .. typed];
        if (button.Name is not null) fields.Add(new(button.Name, button.Value));
        return Send(HttpMethod.Post, new Uri(page.Address, form.Action), fields, cancellationToken);
    }

    public void Dispose() => http.Dispose();

    private async Task<Page> Send(HttpMethod method, Uri address, IReadOnlyList<KeyValuePair<string, string>>? fields, CancellationToken cancellationToken)
    {
        for (int redirects = 0; redirects <= MostRedirects; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            if (fields is not null) request.Content = new FormUrlEncodedContent(fields);
            string origin = address.GetLeftPart(UriPartial.Authority);
            string sent = string.Join("; ", cookies.Where(c => c.Key.Origin == origin).Select(c => $"{c.Key.Name}={c.Value}"));
            if (sent.Length > 0) request.Headers.Add("Cookie", sent);
            using HttpResponseMessage response = await http.SendAsync(request, cancellationToken);
            Keep(origin, response);
            if (response.Headers.Location is not { } location || (int)response.StatusCode is < 300 or > 399)
                return new Page(address, response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken));
            address = new Uri(address, location);
            (method, fields) = (HttpMethod.Get, null);
        }
        throw new LostException("one redirect leads to the next");
    }

    private void Keep(string origin, HttpResponseMessage response)
    {
        if (!response.Headers.TryGetValues("Set-Cookie", out IEnumerable<string>? lines)) return;
        foreach (string line in lines)
        {
            string[] pair = line.Split(';')[0].Split('=', 2);
            if (pair is not [{ } name, { } value]) continue;
            if (value.Trim().Length == 0) cookies.Remove((origin, name.Trim()));
            else cookies[(origin, name.Trim())] = value.Trim();
        }
    }
}

/// <summary>Something on the way is not as it should be; the message says what.</summary>
internal sealed class LostException(string message) : Exception(message);
